"""Memory Maze (Pašukonis et al. 2022, https://arxiv.org/abs/2210.13383), made ready for Gymnasium."""

from __future__ import annotations

import gymnasium

__all__ = ["SIZES", "register"]

# Cells a side.
SIZES = (9, 11, 13, 15)


def register() -> None:
    """Register the environments with Gymnasium."""
    # No max_episode_steps: Memory Maze keeps the limit itself, 250 to 1,000 seconds.
    for size in SIZES:
        gymnasium.register(
            id=f"rllib_recattn/MemoryMaze-{size}x{size}-v0",
            entry_point="rllib_recattn.envs.memory_maze.env:MemoryMaze",
            kwargs={"size": size},
        )
