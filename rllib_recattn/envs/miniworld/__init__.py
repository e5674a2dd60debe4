"""MiniWorld (Chevalier-Boisvert et al. 2023, https://arxiv.org/abs/2306.13831), made ready for agents that remember.

``rllib_recattn/MiniWorld-v0`` is any of its tasks; ``rllib_recattn/MiniWorld-MemoryTMaze-v0`` and
``rllib_recattn/MiniWorld-RandomSign-v0`` need memory.
"""

from __future__ import annotations

import gymnasium

__all__ = ["register"]

_WORLDS = "rllib_recattn.envs.miniworld.worlds"


def register() -> None:
    """Register the environments with Gymnasium."""
    # No max_episode_steps: MiniWorld's tasks keep their limits themselves.
    gymnasium.register(id="rllib_recattn/MiniWorld-v0", entry_point=f"{_WORLDS}.make:make_miniworld")
    gymnasium.register(id="rllib_recattn/MiniWorld-MemoryTMaze-v0", entry_point=f"{_WORLDS}.memory_tmaze:MemoryTMaze")
    gymnasium.register(id="rllib_recattn/MiniWorld-RandomSign-v0", entry_point=f"{_WORLDS}.random_sign:RandomSign")
