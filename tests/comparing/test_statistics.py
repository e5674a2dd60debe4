"""The statistics of a comparison, beside those of rliable and SciPy, and by simulation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.comparing.simulation import ALWAYS, NEVER, OFTEN, false_claims, share
from rllib_recattn.comparing.early_stop import PATIENCE, most_steps
from rllib_recattn.comparing.intervals import bootstrap_interval, interquartile_mean, probability_interval
from rllib_recattn.comparing.outcomes import Outcome, compare_outcomes, probability_better, wins
from rllib_recattn.comparing.permutation import adjusted_p_values, p_value, smallest_p
from rllib_recattn.comparing.survival import solved_share
from rllib_recattn.comparing.verdict import judge

RLIABLE = json.loads((Path(__file__).parent / "rliable.json").read_text(encoding="utf-8"))["cases"]


def scored(*scores):
    return [Outcome(None, 1000, score) for score in scores]


def solving(*steps, budget=1000):
    return [Outcome(None, budget, 0.5) if step is None else Outcome(step, step + 10, 1.0) for step in steps]


@pytest.mark.parametrize("name", RLIABLE)
def test_interquartile_means_and_their_intervals_are_those_of_rliable(name):
    case = RLIABLE[name]
    scores = np.array(case["a"])
    assert interquartile_mean(scores) == pytest.approx(case["iqm"])
    bounds = bootstrap_interval(scores)
    assert (bounds.low, bounds.high) == pytest.approx(case["iqm_interval"], abs=0.012)


@pytest.mark.parametrize("name", [name for name in RLIABLE if "one task" in name])
def test_the_probability_of_being_better_is_that_of_rliable(name):
    case = RLIABLE[name]
    first, second = (np.ravel(case[key]) for key in "ab")
    table = np.sign(first[:, None] - second).astype(np.int64)
    assert probability_better(table) == pytest.approx(case["better"])
    bounds = probability_interval(table)
    assert (bounds.low, bounds.high) == pytest.approx(case["better_interval"], abs=0.02)


def test_two_models_are_tested_as_by_mann_and_whitney():
    generator = np.random.default_rng(1)
    for sizes in ((2, 2), (3, 3), (3, 5), (5, 5)):
        for _ in range(10):
            first, second = (generator.normal(shift, 1, size) for size, shift in zip(sizes, (0, 1), strict=True))
            table = wins(scored(*first, *second))
            expected = stats.mannwhitneyu(first, second, method="exact").pvalue
            found = p_value(table, [range(sizes[0]), range(sizes[0], sum(sizes))])
            assert found == pytest.approx(expected)
    assert smallest_p(3, 3) == p_value(wins(scored(1, 2, 3, 4, 5, 6)), [[0, 1, 2], [3, 4, 5]]) == 0.1


def test_ties_are_dealt_with_exactly():
    first, second = [0.5, 0.5, 0.7, 0.9], [0.5, 0.2, 0.1, 0.5]

    def statistic(x, y):
        return np.sign(np.asarray(x)[:, None] - np.asarray(y)).sum()

    expected = stats.permutation_test((first, second), statistic, n_resamples=np.inf, alternative="two-sided").pvalue
    assert p_value(wins(scored(*first, *second)), [range(4), range(4, 8)]) == pytest.approx(expected)


def test_several_models_are_tested_as_by_kruskal_and_wallis():
    groups = [np.array([0.1, 0.4, 0.5, 0.2]), np.array([0.3, 0.8, 0.9, 0.75]), np.array([0.6, 0.7, 0.65, 0.95])]
    table = wins(scored(*np.concatenate(groups)))
    expected = stats.permutation_test(
        groups, lambda *drawn: stats.kruskal(*drawn).statistic, n_resamples=2000, alternative="greater", rng=0
    ).pvalue
    assert p_value(table, [range(4), range(4, 8), range(8, 12)]) == pytest.approx(expected, abs=0.012)


def test_survival_is_that_of_kaplan_and_meier():
    runs = [*solving(100, 300, 300, 700), Outcome(None, 250, 0.5, True), Outcome(None, 1000, 0.5)]
    found = solved_share(runs)
    data = stats.CensoredData(uncensored=[100, 300, 300, 700], right=[250, 1000])
    expected = stats.ecdf(data).cdf
    for step in (50, 100, 299, 300, 700, 1000):
        assert found.at(step) == pytest.approx(float(expected.evaluate(step)))
    assert found.median == 300
    assert found.censored == (250, 1000)
    assert solved_share(solving(None, None, 400)).median is None
    assert solved_share(solving(100, 300)).mean_within(1000) == pytest.approx(200)
    assert solved_share(solving(100, None)).mean_within(1000) == pytest.approx(550)


def test_which_of_two_runs_ended_better():
    early, late, never = solving(100, 900, None)
    stopped = Outcome(None, 400, 0.9, stopped_early=True)
    worse = Outcome(None, 1000, 0.1)
    better = [(early, late), (early, never), (late, never), (early, stopped), (never, worse)]
    for first, second in better:
        assert (compare_outcomes(first, second), compare_outcomes(second, first)) == (1, -1)
    # What a run that was stopped would have come to is not known.
    for other in (late, never, worse, stopped):
        assert compare_outcomes(stopped, other) == compare_outcomes(other, stopped) == 0


def test_runs_are_stopped_only_once_a_whole_model_has_solved_the_task():
    assert most_steps({"a": solving(100, None, 200), "b": solving(300)}, seeds=3) == math.inf
    assert most_steps({"a": solving(100)}, seeds=1) == math.inf
    assert most_steps({"a": solving(100, 200), "b": solving(300, 150)}, seeds=2) == PATIENCE * 200


def test_a_claim_needs_seeds():
    """Three seeds of which all are better are no proof: equal models look like that once in ten times."""
    three = judge({"a": solving(1, 2, 3), "b": solving(4, 5, 6)})
    assert (three.ranked, three.alike, three.behind) == (("a", "b"), ("b",), ())
    assert three.pairs[0].p == three.pairs[0].smallest_p == 0.1
    assert three.pairs[0].bounds is None
    five = judge({"b": solving(*range(10, 15)), "a": solving(*range(5))})
    assert (five.leader, five.alike, five.behind) == ("a", (), ("b",))
    assert five.pairs[0].p == pytest.approx(2 / math.comb(10, 5))
    assert five.pairs[0].probability == 1
    assert five.pairs[0].bounds.low == 1


def test_one_of_many_pairs_needs_more_than_a_pair_alone():
    generator = np.random.default_rng(0)
    models = {str(index): range(5 * index, 5 * index + 5) for index in range(6)}
    table = wins(scored(*generator.normal(size=25), *(10 + generator.normal(size=5))))
    adjusted = adjusted_p_values(table, models)
    for pair, p in adjusted.items():
        assert p >= p_value(table, [models[name] for name in pair]) - 1e-9
        assert (p < 0.05) == ("5" in pair), pair


@pytest.mark.parametrize("task", [ALWAYS, OFTEN, NEVER])
@pytest.mark.parametrize(("models", "seeds"), [(2, 2), (2, 4), (2, 5), (3, 5)])
def test_equal_models_are_said_to_differ_in_at_most_one_of_twenty_comparisons(task, models, seeds):
    repeats = 600 if models == 2 else 200
    found = false_claims(task, models, seeds, repeats)
    assert found <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / repeats)


def test_a_model_that_is_three_times_as_fast_is_found_with_five_seeds():
    assert share(bool, [(20_000, 0.0), ALWAYS], 5, 40) > 0.8
