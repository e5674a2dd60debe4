"""Why a run ended, in words and as data."""

from __future__ import annotations

import json
import math

from rllib_recattn.experiment.records.stop_criteria import stop_criteria
from rllib_recattn.experiment.reports.summary import RunSummary

STOP = {"env_runners/success_rate": 0.95, "num_env_steps_sampled_lifetime": 400_000}


def summary(tmp_path, stop, *, success_rate=0.97, steps=125_000, checkpoint=True):
    result = {
        "training_iteration": 31,
        "num_env_steps_sampled_lifetime": float(steps),
        "time_total_s": 95.0,
        "env_runners": {"episode_return_mean": 3.1, "success_rate": success_rate},
    }
    return RunSummary(
        name="tmaze",
        result=result,
        criteria=stop_criteria(result, stop),
        run_dir=tmp_path,
        checkpoint=tmp_path / "trial_00000" / "checkpoint_000000" if checkpoint else None,
        learning_curve=None,
    )


def test_a_goal_that_is_reached_solves(tmp_path):
    solved = summary(tmp_path, STOP)
    assert solved.solved is True
    assert solved.stop_reason == "solved: env_runners/success_rate 0.97 ≥ 0.95"


def test_a_budget_that_runs_out_does_not(tmp_path):
    unsolved = summary(tmp_path, STOP, success_rate=0.5, steps=401_408)
    assert unsolved.solved is False
    reason = "budget exhausted, not solved: num_env_steps_sampled_lifetime 401,408 ≥ 400,000"
    assert unsolved.stop_reason == reason
    assert "goal missed     env_runners/success_rate 0.5 < 0.95" in unsolved.text()


def test_a_goal_that_was_never_reported_is_missed(tmp_path):
    unsolved = summary(tmp_path, STOP, success_rate=math.nan, steps=400_000)
    assert unsolved.solved is False
    assert "env_runners/success_rate (never reported) < 0.95" in unsolved.text()
    assert unsolved.data()["success_rate"] is None


def test_without_a_goal_a_run_is_just_finished(tmp_path):
    finished = summary(tmp_path, {"training_iteration": 31})
    assert finished.solved is None
    assert finished.stop_reason == "finished: training_iteration 31 ≥ 31"


def test_text_and_data_say_where_things_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = summary(tmp_path, STOP).text()
    assert text.splitlines()[0] == "Solved: env_runners/success_rate 0.97 ≥ 0.95"
    assert text.splitlines()[-1] == "  rllib evaluate trial_00000/checkpoint_000000 --episodes 100"
    data = summary(tmp_path, STOP).data()
    assert data["checkpoint"] == "trial_00000/checkpoint_000000"
    assert data["training_time_s"] == 95
    assert data["stop"]["env_runners/success_rate"] == {"value": 0.97, "threshold": 0.95}


def test_without_a_checkpoint_there_is_nothing_to_evaluate(tmp_path):
    assert "rllib evaluate" not in summary(tmp_path, STOP, checkpoint=False).text()


def test_files(tmp_path):
    written = summary(tmp_path, STOP)
    written.write()
    assert json.loads((tmp_path / "summary.json").read_text()) == written.data()
    assert (tmp_path / "summary.txt").read_text() == written.text() + "\n"
