"""Confidence intervals, against values from textbooks."""

from __future__ import annotations

import pytest

from rllib_recattn.experiment.evaluation.intervals import Interval, mean_interval, rate_interval


def test_students_interval():
    # mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.776
    interval = mean_interval([1, 2, 3, 4, 5])
    assert interval.mean == 3
    assert (interval.low, interval.high) == pytest.approx((3 - 1.963, 3 + 1.963), abs=1e-3)


def test_one_sample_has_no_interval_and_equal_samples_an_empty_one():
    assert mean_interval([2.0]) == Interval(2.0, None, None)
    assert mean_interval([2.0, 2.0, 2.0]) == Interval(2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (1, 1, 0.2065, 1.0)],
)
def test_wilsons_interval(successes, trials, low, high):
    interval = rate_interval(successes, trials)
    assert interval.mean == successes / trials
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
