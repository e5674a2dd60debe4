"""The line per iteration."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from rllib_recattn.experiment.training.progress.report import ProgressReport, error_text


def result(iteration, episode_return=math.nan, **env_runner_metrics):
    return {
        "training_iteration": iteration,
        "num_env_steps_sampled_lifetime": 4096.0 * iteration,
        "time_this_iter_s": 2.0,
        "time_total_s": 2.0 * iteration,
        "env_runners": {
            "num_env_steps_sampled": 4096,
            "episode_return_mean": episode_return,
            **env_runner_metrics,
        },
    }


@pytest.fixture
def printed(capsys):
    def report(*results, stop=None):
        callback = ProgressReport()
        callback.setup(stop=stop)
        for each in results:
            callback.on_trial_result(0, [], None, each)
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    return report


HEADER = ["iteration", "env", "steps", "return", "steps/s", "elapsed"]
HEADER_WITH_SUCCESS = ["iteration", "env", "steps", "return", "success", "steps/s", "elapsed"]


def test_columns_without_success(printed):
    assert printed(result(1), result(100, 3.5)) == [
        HEADER,
        ["1", "4,096", "–", "2,048", "2", "s"],
        ["100", "409,600", "3.50", "2,048", "3", "min", "20", "s"],
    ]


def test_the_success_column_is_there_from_the_start_if_success_is_the_goal(printed):
    lines = printed(result(1), result(2, 1.0, success_rate=0.25), stop={"env_runners/success_rate": 0.95})
    assert lines[0] == HEADER_WITH_SUCCESS
    assert lines[1] == ["1", "4,096", "–", "–", "2,048", "2", "s"]
    assert lines[2] == ["2", "8,192", "1.00", "0.25", "2,048", "4", "s"]


def test_a_success_column_that_turns_up_later_gets_a_new_header(printed):
    lines = printed(result(1), result(2, 1.0, success_rate=0.5), result(3, success_rate=math.nan))
    assert lines[0] == HEADER
    assert lines[2] == HEADER_WITH_SUCCESS
    assert lines[4] == ["3", "12,288", "–", "–", "2,048", "6", "s"]


def test_a_failure_that_tune_recovers_from_is_shown_in_short(tmp_path, capsys):
    frames = '  File "x.py", line 1, in step\n' * 50
    (tmp_path / "error.txt").write_text(
        "Failure # 1 (at 1)\nTraceback:\nValueError: old error\n\n"
        f"Failure # 2 (at 2)\nTraceback:\n{frames}KeyError: 'why'\nTraceback:\n{frames}"
        "ray.exceptions.ActorDiedError: The actor died because its node has died.\n\tclass_name: PPOTrial\n"
    )
    callback = ProgressReport()
    callback.setup()
    callback.on_trial_recover(0, [], SimpleNamespace(local_path=str(tmp_path), num_failures=2))
    first, error, where = capsys.readouterr().out.splitlines()
    assert first == "Failure 2: going on from the newest checkpoint."
    assert error.strip() == (
        "ray.exceptions.ActorDiedError: The actor died because its node has died. class_name: PPOTrial"
    )
    assert where.split() == ["traceback", str(tmp_path / "error.txt")]


def test_a_process_that_died_is_told_from_the_beginning_of_the_text(tmp_path):
    (tmp_path / "error.txt").write_text(
        "Failure # 1 (occurred at 1)\nThe actor died unexpectedly.\n\tpid: 5\nWorker exit type: SYSTEM_ERROR\n"
    )
    told = error_text(SimpleNamespace(local_path=str(tmp_path)))
    assert told == "The actor died unexpectedly. pid: 5 Worker exit type: SYSTEM_ERROR"


@pytest.mark.parametrize("error", ["package.faults.Fault: the motor is broken", "ValueError", "KeyError: 'a'"])
def test_an_error_is_known_whatever_its_class_is_called(tmp_path, error):
    frames = '  File "x.py", line 1, in step\n    raise Fault(x)\n' * 50
    (tmp_path / "error.txt").write_text(f"Failure # 1 (at 1)\nTraceback (most recent call last):\n{frames}{error}\n")
    assert error_text(SimpleNamespace(local_path=str(tmp_path))) == error


def test_columns_are_aligned(capsys):
    callback = ProgressReport()
    callback.setup()
    callback.on_trial_result(0, [], None, result(1))
    callback.on_trial_result(0, [], None, result(1000, -123.456))
    assert len({len(line) for line in capsys.readouterr().out.splitlines()}) == 1
