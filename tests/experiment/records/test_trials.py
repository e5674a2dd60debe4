"""Reading the trials of a run back from its directory."""

from __future__ import annotations

import math
import os

import pytest

from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.records.trials import read_trials
from tests.experiment.records.run_directories import write_experiment, write_sweep, write_trial

SUCCESS = "env_runners/success_rate"
LAST, HIGHEST, LOWEST = Measure(SUCCESS), Measure(SUCCESS, "max", "best"), Measure(SUCCESS, "min", "best")


@pytest.fixture
def trials(tmp_path):
    return read_trials(write_sweep(tmp_path / "run"))


def test_trials_come_in_their_order_with_their_choices(trials):
    assert [trial.name for trial in trials] == [f"trial_{index:05d}" for index in range(4)]
    assert trials[0].choices == {"model": "agalite", "config.lr": 3e-4}


def test_each_trial_says_how_it_ended(trials):
    assert [trial.status for trial in trials] == ["finished", "stopped early", "failed", "unfinished"]
    assert [trial.reached_goal for trial in trials] == [True, False, False, False]


def test_a_trial_that_went_on_after_an_error_has_not_failed(tmp_path):
    write_experiment(tmp_path / "run")
    directory = write_trial(tmp_path / "run", 0, [0.5], done=False, error="Failure # 1\nboom\n")
    os.utime(directory / "error.txt", (1, 1))
    assert [trial.status for trial in read_trials(tmp_path / "run")] == ["unfinished"]


def test_last_and_best_values(trials):
    assert trials[1].last(SUCCESS) == 0.3
    assert [trials[1].value(measure) for measure in (LAST, HIGHEST, LOWEST)] == [0.3, 0.5, 0.3]
    assert math.isnan(trials[1].value(Measure("env_runners/missing")))
    assert math.isnan(trials[1].last("done"))
    assert (trials[0].iterations, trials[0].env_steps) == (3, 300)
    assert trials[3].iterations == 2, "half a line does not count"


def test_the_directory_of_a_trial_stands_for_itself(trials):
    (alone,) = read_trials(trials[1].directory)
    assert (alone.choices, alone.status) == (trials[1].choices, "stopped early")


def test_choices_that_changed_are_those_of_the_value(tmp_path):
    write_experiment(tmp_path / "run")
    directory = write_trial(tmp_path / "run", 0, [0.9, 0.2], {"model": "gru", "config.lr": 1e-3})
    first, second = (directory / "result.json").read_text().splitlines()
    (directory / "result.json").write_text(first + "\n" + second.replace("0.001", "0.005") + "\n")
    (directory / "params.json").write_text('{"model": "gru", "config.lr": 0.005}')
    (trial,) = read_trials(tmp_path / "run")
    assert trial.choices["config.lr"] == 0.005
    assert trial.choices_at(HIGHEST) == {"model": "gru", "config.lr": 0.001}
    assert trial.choices_at(LOWEST) == trial.choices_at(LAST) == {"model": "gru", "config.lr": 0.005}


@pytest.mark.parametrize("content", ["", '{"model": "gr', "[1]"])
def test_files_cut_short_are_as_good_as_none(tmp_path, content):
    write_experiment(tmp_path / "run")
    directory = write_trial(tmp_path / "run", 0, [0.5])
    (directory / "params.json").write_text(content)
    (trial,) = read_trials(tmp_path / "run")
    assert trial.choices == {}
    (tmp_path / "run" / "experiment.json").write_text(content)
    (trial,) = read_trials(tmp_path / "run")
    assert trial.choices == {}
    assert trial.status == "finished"


def test_nan_and_infinity_are_no_values(tmp_path):
    write_experiment(tmp_path / "run")
    write_trial(tmp_path / "run", 0, [0.2, math.inf, 0.4, math.nan, -math.inf])
    write_trial(tmp_path / "run", 1, [math.nan, math.inf])
    some, none = read_trials(tmp_path / "run")
    assert [some.value(measure) for measure in (LAST, HIGHEST, LOWEST)] == [0.4, 0.4, 0.2]
    assert some.position_of(LAST) == 3
    assert math.isnan(none.value(HIGHEST))
    assert none.position_of(LAST) is None
