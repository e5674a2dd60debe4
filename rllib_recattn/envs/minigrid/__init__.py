"""MiniGrid (Chevalier-Boisvert et al. 2023, https://arxiv.org/abs/2306.13831), made ready for agents that remember.

``rllib_recattn/MiniGrid-v0`` is any of its tasks, ``rllib_recattn/MiniGrid-Memory…-v0`` are those that need memory.
"""

from __future__ import annotations

import gymnasium

__all__ = ["MEMORY_TASKS", "register"]

MEMORY_TASKS = ("MemoryS7", "MemoryS9", "MemoryS11", "MemoryS13", "MemoryS13Random", "MemoryS17Random")

_ENTRY_POINT = "rllib_recattn.envs.minigrid.make:make_minigrid"
# MiniGrid's other actions do nothing in these tasks.
_MOVES = ["left", "right", "forward"]


def register() -> None:
    """Register the environments with Gymnasium."""
    gymnasium.register(id="rllib_recattn/MiniGrid-v0", entry_point=_ENTRY_POINT)
    for task in MEMORY_TASKS:
        for suffix, observation in (("", "onehot"), ("-RGB", "rgb")):
            gymnasium.register(
                id=f"rllib_recattn/MiniGrid-{task}{suffix}-v0",
                entry_point=_ENTRY_POINT,
                kwargs={"task": f"MiniGrid-{task}-v0", "observation": observation, "actions": _MOVES},
            )
