"""POPGym (Morad et al. 2023, https://arxiv.org/abs/2303.01859): ``rllib_recattn/POPGym-v0`` is any of its tasks."""

from __future__ import annotations

import gymnasium

__all__ = ["register"]


def register() -> None:
    """Register the environment with Gymnasium."""
    # No max_episode_steps: POPGym's tasks keep their limits themselves.
    gymnasium.register(id="rllib_recattn/POPGym-v0", entry_point="rllib_recattn.envs.popgym.make:make_popgym")
