"""Configs of small agents."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from rllib_recattn.inputs.input_settings import WITHOUT_MLP

CONFIGS = {"PPO": PPOConfig, "APPO": APPOConfig, "IMPALA": IMPALAConfig}
SMALL = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_head": 4}
ENVIRONMENTS = {"discrete": ("rllib_recattn/TMaze-v0", {"corridor_length": 5}), "box": ("Pendulum-v1", {})}


def small_stock_config(algorithm: str = "PPO", action_space: str = "discrete") -> AlgorithmConfig:
    """A config for small agents before `use_model`, with three environments and fragments that cut episodes."""
    env, env_config = ENVIRONMENTS[action_space]
    config = (
        CONFIGS[algorithm]()
        .environment(env, env_config=env_config)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3)
        .training(train_batch_size_per_learner=120, lr=1e-3)
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
    )
    if algorithm == "PPO":
        return config.training(minibatch_size=40, num_epochs=2)
    return config.env_runners(rollout_fragment_length=40).reporting(min_time_s_per_iteration=0)


def small_config(
    action_space: str = "discrete",
    *,
    algorithm: str = "PPO",
    vf_share_layers: bool = True,
    max_seq_len: int = 7,
    **settings: Any,
) -> AlgorithmConfig:
    """A config of small agents with a model; `settings` are further ones of `use_model`."""
    return ra.use_model(
        small_stock_config(algorithm, action_space),
        "agalite",
        max_seq_len=max_seq_len,
        vf_share_layers=vf_share_layers,
        # What tests sample has the episodes that they look for with these weights.
        **{"encoder": WITHOUT_MLP, **SMALL, **settings},
    )
