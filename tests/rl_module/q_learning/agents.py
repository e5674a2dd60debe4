"""Small agents of recurrent DQN."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.dqn import DQNConfig

import rllib_recattn as ra

GRU = {"model": "gru", "d_model": 8, "n_layers": 1}


def stock_config(**training: Any) -> DQNConfig:
    """A config of DQN on a short T-Maze, before `use_model`."""
    defaults = {
        "train_batch_size": 8,
        "lr": 1e-3,
        "num_steps_sampled_before_learning_starts": 60,
        "target_network_update_freq": 50,
    }
    return (
        DQNConfig()
        .environment("rllib_recattn/TMaze-v0", env_config={"corridor_length": 5})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3, rollout_fragment_length=5)
        .training(**{**defaults, **training})
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
        .reporting(min_sample_timesteps_per_iteration=60)
    )


def config(training: dict[str, Any] | None = None, **settings: Any) -> DQNConfig:
    """The same with a memory."""
    return ra.use_model(stock_config(**(training or {})), **{**GRU, "max_seq_len": 7, **settings})
