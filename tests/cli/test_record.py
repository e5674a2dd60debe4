"""``rllib record``."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.rl_module.recorded_episodes import unpacked


@pytest.fixture
def record(finished_run, tmp_path):
    def record(*options, directory="episodes"):
        arguments = [finished_run.result.run_dir, "-o", tmp_path / directory, *options]
        return CliRunner().invoke(main, ["record", *map(str, arguments)])

    return record


def episodes_in(file):
    return [unpacked(row) for row in pq.read_table(file)["item"].to_pylist()]


def test_records_the_episodes_that_evaluation_plays(record, finished_run, tmp_path):
    run = record("--episodes", 3, "--seed", 7, "--stochastic")
    assert run.exit_code == 0, run.output
    episodes = episodes_in(tmp_path / "episodes" / "seeds-7-9.parquet")
    evaluated = evaluate_checkpoint(finished_run.result.run_dir, episodes=3, seed=7, explore=True).episodes
    assert [(len(each), each.get_return()) for each in episodes] == [
        (each.length, each.episode_return) for each in evaluated
    ]
    assert all(each.is_done and each.t_started == 0 for each in episodes)
    steps = sum(map(len, episodes))
    assert f"3 episodes, {steps} steps, the longest with {max(map(len, episodes))}" in run.output


def test_random_actions_are_all_there_and_can_be_repeated(record, tmp_path):
    actions = []
    for directory in ("one", "other"):
        assert record("--random", "--episodes", 4, directory=directory).exit_code == 0
        episodes = episodes_in(tmp_path / directory / "seeds-0-3.parquet")
        actions.append(np.concatenate([each.get_actions() for each in episodes]))
    np.testing.assert_array_equal(*actions)
    assert len(set(actions[0].tolist())) > 2


def test_no_episode_is_recorded_twice(record):
    assert record("--episodes", 3).exit_code == 0
    again = record("--episodes", 1, "--seed", 2)
    assert again.exit_code == 2
    assert "has the episodes of seeds 0 to 2 already; should begin with another seed, such as --seed 3" in again.output
    assert record("--episodes", 1, "--seed", 3).exit_code == 0


def test_what_does_not_go_together_is_refused(record, tmp_path):
    (tmp_path / "file").touch()
    assert "should be a directory" in record(directory="file").output
    assert "choose one of them" in record("--random", "--stochastic").output
