"""Means over seeds and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from rllib_recattn.experiment.figures.curves import Curve, curve_of, mean_curve
from rllib_recattn.experiment.records.trials import read_trials
from tests.experiment.records.run_directories import write_sweep


def curve(xs, ys, holds=False):
    return Curve(np.array(xs, float), np.array(ys, float), holds)


def test_curves_come_from_the_history_over_steps_or_time(tmp_path):
    trials = read_trials(write_sweep(tmp_path / "run"))
    over_steps = curve_of(trials[0], "env_runners/success_rate")
    assert (over_steps.x.tolist(), over_steps.y.tolist()) == ([100, 200, 300], [0.4, 0.5, 0.96])
    assert over_steps.holds
    assert curve_of(trials[0], "env_runners/success_rate", "time").x.tolist() == [2, 4, 6]
    assert not curve_of(trials[1], "env_runners/success_rate").holds
    assert curve_of(trials[0], "env_runners/missing") is None


def test_the_mean_is_taken_between_the_points_where_all_curves_go():
    mean = mean_curve([curve([0, 100], [0, 1]), curve([50, 80, 300], [2, 2, 2])])
    assert (mean.x[0], mean.x[-1]) == (50, 100)
    np.testing.assert_allclose(mean.mean, (mean.x / 100 + 2) / 2)


def test_curves_that_reached_their_goal_hold_their_value():
    mean = mean_curve([curve([0, 100], [0, 1], holds=True), curve([0, 300], [0, 0])])
    assert mean.x[-1] == 300
    assert mean.mean[-1] == 0.5
    both = mean_curve([curve([0, 100], [0, 1], holds=True), curve([0, 300], [0, 1], holds=True)])
    assert (both.x[-1], both.mean[-1]) == (300, 1)


def test_the_interval_holds_the_mean_and_is_the_same_twice():
    curves = [curve([0, 1], [value, value]) for value in (1.0, 2.0, 6.0)]
    one, other = mean_curve(curves), mean_curve(curves)
    np.testing.assert_array_equal(one.low, other.low)
    assert one.mean[0] == pytest.approx(3)
    # A resample of three holds the lowest value thrice once in 27 times, which is more than 2.5 %.
    assert (one.low[0], one.high[0]) == (1, 6)


def test_the_interval_is_narrower_with_more_seeds():
    values = np.random.default_rng(1).normal(size=40)
    few, many = (mean_curve([curve([0, 1], [v, v]) for v in part]) for part in (values[:5], values))
    assert many.high[0] - many.low[0] < few.high[0] - few.low[0]
    half_width = (many.high[0] - many.low[0]) / 2
    assert half_width == pytest.approx(1.96 * values.std() / np.sqrt(40), rel=0.15)
