"""Configs of small agents in environments that raise on a forbidden action."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

import rllib_recattn as ra
from tests.masks.illegal import Illegal, IllegalForTwo
from tests.rl_module.small_agents import CONFIGS

MODEL = {"d_model": 16, "n_heads": 2, "d_head": 4, "n_layers": 1}


def stock(algorithm: str, env: type = Illegal, **env_config: Any) -> AlgorithmConfig:
    """A config without a model."""
    config = (
        CONFIGS[algorithm]()
        .environment(env, env_config=env_config)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3)
        .training(train_batch_size_per_learner=120, lr=3e-3, entropy_coeff=0.01)
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
    )
    if algorithm == "PPO":
        return config.training(minibatch_size=40, num_epochs=2)
    return config.env_runners(rollout_fragment_length=40).reporting(min_time_s_per_iteration=0)


def masked(algorithm: str = "PPO", env: type = Illegal, use: dict[str, Any] | None = None, **env_config: Any) -> Any:
    """A config with a model; `use` are further settings of `use_model`."""
    config = stock(algorithm, env, **env_config)
    if env is IllegalForTwo:
        config.multi_agent(policies={"p0"}, policy_mapping_fn=lambda agent, episode, **kwargs: "p0")
    return ra.use_model(config, "agalite", **{"max_seq_len": 7, "action_mask": "action_mask", **MODEL, **(use or {})})
