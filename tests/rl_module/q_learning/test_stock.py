"""What RLlib's own recurrent DQN does wrong, so that a fix in Ray is noticed; docs/rllib-notes.md tells of each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer

from rllib_recattn.rl_module.q_learning.replay import SequenceEpisodeReplayBuffer
from tests.rl_module.q_learning.agents import stock_config

UNIFORM = {"replay_buffer_config": {"type": "EpisodeReplayBuffer", "capacity": 5000}}


def with_lstm(n_envs: int = 1, **training) -> DQNConfig:
    config = stock_config(**training).env_runners(num_envs_per_env_runner=n_envs)
    return config.rl_module(model_config={"use_lstm": True, "lstm_cell_size": 8, "max_seq_len": 7})


def train(config):
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            result = algorithm.train()
    finally:
        algorithm.stop()
    return result


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({}, "truth value of an array|ambiguous|inhomogeneous|only length-1|only 0-dimensional"),
        ({**UNIFORM, "n_step": 3}, "n-step must be 1"),
        ({**UNIFORM, "num_atoms": 5}, "size|shape|dimension"),
    ],
    ids=["priorities", "n_step", "num_atoms"],
)
def test_it_crashes(ray_session, training, message):
    with pytest.raises(Exception, match=message):
        train(with_lstm(**training))


def test_actions_of_several_environments_are_a_square(ray_session):
    algorithm = with_lstm(n_envs=3, **UNIFORM).build_algo()
    module = algorithm.env_runner.module
    state = {key: value[None].expand(3, *value.shape) for key, value in module.get_initial_state().items()}
    batch = {"obs": torch.zeros(3, 1, *module.observation_space.shape), "state_in": state}
    assert module.forward_exploration(batch, t=0)["actions"].shape == (3, 3)
    algorithm.stop()


def test_the_path_of_a_buffers_class_becomes_a_class_that_has_no_names_in_it():
    path = f"{SequenceEpisodeReplayBuffer.__module__}.{SequenceEpisodeReplayBuffer.__name__}"
    config = DQNConfig().update_from_dict({"replay_buffer_config": {"type": path}})
    assert config.replay_buffer_config["type"] is SequenceEpisodeReplayBuffer


def test_a_buffer_is_not_in_checkpoints(ray_session, tmp_path):
    algorithm = stock_config(**UNIFORM, store_buffer_in_checkpoints=True).build_algo()
    algorithm.train()
    assert len(algorithm.local_replay_buffer)
    path = algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.stop()
    again = stock_config(**UNIFORM, store_buffer_in_checkpoints=True).build_algo()
    again.restore_from_path(path)
    assert len(again.local_replay_buffer) == 0
    again.stop()


def test_the_lookback_of_nested_data_is_cut_to_its_number_of_keys():
    assert InfiniteLookbackBuffer({"only": np.zeros(5)}, lookback=3).lookback == 1
