"""What becomes of a claim, given the figures."""

from __future__ import annotations

import pytest

from benchmarks.memory.statistics import Estimate
from benchmarks.results.markdown import than
from benchmarks.results.verdicts import (
    IN_PART,
    NOT_MEASURED,
    NOT_SHOWN,
    REFUTED,
    REPRODUCED,
    Comparison,
    at_most,
    some_task,
)


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [((0.5, 0.6), REPRODUCED), ((0.5, 0.61), IN_PART), ((0.61, 1.2), REFUTED), ((), NOT_MEASURED)],
)
def test_a_claim_is_as_true_as_its_cases(ratios, verdict):
    assert at_most("a claim", {str(r): r for r in ratios}, 0.6, "cheaper", "dearer").verdict == verdict


def test_what_is_spared_is_rounded_down():
    assert [than(ratio, "less", "more") for ratio in (0.6, 0.604, 1.0, 1.113)] == [
        "40 % less",
        "39 % less",
        "0 % less",
        "11 % more",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "seeds", "verdict"),
    [
        ((0.9, 0.8, 1.0), (0.5, 0.4, 0.6), 3, REPRODUCED),
        ((0.9, 0.6, 1.0), (0.5, 0.4, 0.6), 3, NOT_SHOWN),  # the intervals touch
        ((0.6, 0.6, 0.6), (0.5, 0.5, 0.5), 3, REFUTED),  # apart, and not by enough
        ((0.5, 0.4, 0.6), (0.9, 0.8, 1.0), 3, REFUTED),  # apart, the wrong way round
        ((0.9, 0.8, 1.0), (0.5, 0.4, 0.6), 2, NOT_MEASURED),
    ],
)
def test_a_better_success_needs_a_ratio_seeds_and_intervals_apart(ours, theirs, seeds, verdict):
    pair = Comparison(Estimate(*ours), Estimate(*theirs), seeds)
    assert some_task("better", {"a maze": pair}, 1.37).verdict == verdict


def test_one_task_that_shows_it_is_enough():
    good = Comparison(Estimate(0.9, 0.8, 1.0), Estimate(0.5, 0.4, 0.6), 3)
    doubtful = Comparison(Estimate(1.0, 0.0, 1.0), Estimate(0.1, 0.0, 0.2), 3)
    found = some_task("better", {"doubtful": doubtful, "good": good}, 1.37)
    assert found.verdict == REPRODUCED
    assert found.found.startswith("good: 0.90 against 0.50, 1.80 ×, 3 seeds, intervals apart")


def test_means_of_the_same_scores_are_not_apart():
    assert sum([0.1] * 3) != 0.3
    assert not Comparison(Estimate(0.3, 0.3, 0.3), Estimate(*[sum([0.1] * 3)] * 3), 3).apart
