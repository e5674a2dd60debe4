"""Configs of small agents."""

from __future__ import annotations

from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra

SMALL = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_head": 4}
ENVIRONMENTS = {"discrete": ("rllib_recattn/TMaze-v0", {"corridor_length": 5}), "box": ("Pendulum-v1", {})}


def small_config(action_space: str = "discrete", *, vf_share_layers: bool = True, max_seq_len: int = 7) -> PPOConfig:
    """A PPO config with a small model, three environments and fragments that cut episodes."""
    env, env_config = ENVIRONMENTS[action_space]
    config = (
        PPOConfig()
        .environment(env, env_config=env_config)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=3)
        .training(train_batch_size_per_learner=120, minibatch_size=40, num_epochs=2, lr=1e-3)
        .debugging(seed=0, log_level="ERROR")
    )
    return ra.use_model(config, "agalite", max_seq_len=max_seq_len, vf_share_layers=vf_share_layers, **SMALL)
