"""Recorded episodes are in the files once each, whole, and what was sampled; stock RLlib repeats and loses them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from ray.rllib.offline.offline_env_runner import OfflineSingleAgentEnvRunner

import rllib_recattn as ra
from rllib_recattn.rl_module.faults.env_runners import EnvironmentFault
from rllib_recattn.rl_module.fixes.recording import RecordingEnvRunner, writes_with_ray_data
from rllib_recattn.rl_module.mending_recorder import MendingRecordingEnvRunner, survive_while_recording
from rllib_recattn.rl_module.recorded_episodes import unpacked
from tests.rl_module.small_agents import small_config, small_stock_config


def config_of(directory, rllib_fixes=None, **settings):
    config = small_stock_config().offline_data(output=str(directory / "episodes"), **settings)
    config.env_runners(batch_mode="complete_episodes")
    return ra.use_model(config, "gru", d_model=8, max_seq_len=65, rllib_fixes=rllib_fixes)


def rows(directory):
    files = sorted((directory / "episodes").rglob("*.parquet"))
    return files, [row for file in files for row in pq.read_table(file)["item"].to_pylist()]


@pytest.fixture
def sampled(tmp_path):
    """Sample three times: what was sampled, and what is in the files."""

    def sampled(runner_class=RecordingEnvRunner, times=3, **settings):
        runner = runner_class(config=config_of(tmp_path, **settings), worker_index=1)
        episodes = [episode for _ in range(times) for episode in runner.sample()]
        files, found = rows(tmp_path)
        runner.stop()
        return episodes, files, found

    return sampled


def test_every_episode_is_there_once_and_whole(sampled):
    episodes, files, found = sampled()
    assert len(files) == 3
    assert len(found) == len(episodes) >= 9
    read = {episode.id_: episode for episode in map(unpacked, found)}
    assert len(read) == len(episodes)
    for episode in episodes:
        again = read[episode.id_]
        assert (again.t_started, len(again)) == (0, len(episode))
        assert (again.is_terminated, again.is_truncated) == (episode.is_terminated, episode.is_truncated)
        for one, other in (
            (again.get_observations(), episode.get_observations()),
            (again.get_actions(), episode.get_actions()),
            (again.get_rewards(), episode.get_rewards()),
        ):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        assert again.custom_data == {}


def test_truncated_episodes_end_with_their_last_observation(tmp_path):
    config = config_of(tmp_path).environment(env_config={"corridor_length": 30, "max_episode_steps": 4})
    runner = RecordingEnvRunner(config=config, worker_index=1)
    runner.sample()
    _, found = rows(tmp_path)
    runner.stop()
    for episode in map(unpacked, found):
        assert episode.is_truncated
        assert not episode.is_terminated
        assert len(episode) == 4
        assert len(episode.get_observations()) == 5


def test_files_of_a_size_lose_nothing(sampled, tmp_path):
    episodes, files, found = sampled(output_max_rows_per_file=2, output_write_remaining_data=True)
    assert [len(pq.read_table(file)) for file in files] == [2] * (len(episodes) // 2)
    _, found = rows(tmp_path)  # after the end
    assert Counter(unpacked(row).id_ for row in found) == Counter(episode.id_ for episode in episodes)


def test_steps_are_written_once_as_well(ray_session, tmp_path):
    runner = RecordingEnvRunner(config=config_of(tmp_path, output_write_episodes=False), worker_index=1)
    episodes = [episode for _ in range(2) for episode in runner.sample()]
    runner.stop()
    files = sorted((tmp_path / "episodes").rglob("*.parquet"))
    assert sum(len(pq.ParquetFile(file).read()) for file in files) == sum(len(episode) for episode in episodes)


def test_evaluation_is_not_recorded(tmp_path):
    config = config_of(tmp_path).evaluation(evaluation_interval=1).get_evaluation_config_object()
    runner = RecordingEnvRunner(config=config, worker_index=0)
    runner.sample(num_episodes=2)
    runner.stop()
    assert rows(tmp_path) == ([], [])


def test_stock_rllib_repeats_what_it_has_written(ray_session, sampled):
    episodes, _, found = sampled(OfflineSingleAgentEnvRunner, rllib_fixes={"recorded_once": False})
    counts = Counter(unpacked(row).id_ for row in found)
    assert counts[episodes[0].id_] == 3
    assert len(found) > len(episodes)


def test_stock_rllib_loses_what_is_more_than_one_file(ray_session, sampled):
    episodes, _, found = sampled(OfflineSingleAgentEnvRunner, times=1, output_max_rows_per_file=1)
    assert len(episodes) >= 3
    assert len(found) == 1


def test_which_env_runner_records(tmp_path):
    assert config_of(tmp_path).env_runner_cls is RecordingEnvRunner
    assert config_of(tmp_path, rllib_fixes={"recorded_once": False}).env_runner_cls is None
    assert survive_while_recording(config_of(tmp_path)).env_runner_cls is MendingRecordingEnvRunner
    assert small_config().env_runner_cls is None
    assert survive_while_recording(small_config()).env_runner_cls is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"output_write_method": "write_json"}, True),
        ({"output_write_episodes": False}, True),
        ({"output_write_method_kwargs": {"num_rows_per_file": 3}}, True),
        ({"output_filesystem": "s3"}, True),
    ],
)
def test_where_ray_data_writes(tmp_path, settings, expected):
    assert writes_with_ray_data(config_of(tmp_path, **settings)) == expected
    assert not writes_with_ray_data(small_config())


def test_a_directory_that_cannot_be_written_to_ends_the_sample(tmp_path):
    (tmp_path / "episodes").write_text("in the way")
    runner = MendingRecordingEnvRunner(config=config_of(tmp_path), worker_index=1)
    runner.config.fault_tolerance(num_consecutive_env_runner_failures_tolerance=0)
    with pytest.raises(OSError):
        runner.apply(lambda env_runner: env_runner.sample())
    with pytest.raises(EnvironmentFault, match="episodes"):
        runner.sample()
    runner.stop()
