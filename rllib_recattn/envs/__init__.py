"""Gymnasium environments that cannot be solved without memory. Nothing here imports Ray or PyTorch.

``import rllib_recattn`` registers them. ``gymnasium.make("rllib_recattn:rllib_recattn/TMaze-v0")`` does the
import itself, which makes it the form that works in every process. ``gymnasium.make_vec``, and RLlib with
``gym_env_vectorize_mode="vector_entry_point"``, build the vectorised implementation.
"""

from __future__ import annotations

import gymnasium

from rllib_recattn.envs import memory_gym, memory_maze, minigrid, miniworld, popgym

__all__ = ["register_envs"]


def register_envs() -> None:
    """Register the environments with Gymnasium. Calling it again changes nothing.

    The entry points are strings, so that no environment is imported before it is made.
    """
    if "rllib_recattn/TMaze-v0" in gymnasium.registry:
        return
    # No max_episode_steps: the limit depends on the corridor's length, so the environment keeps it.
    gymnasium.register(
        id="rllib_recattn/TMaze-v0",
        entry_point="rllib_recattn.envs.tmaze:TMazeEnv",
        vector_entry_point="rllib_recattn.envs.tmaze_vector:TMazeVectorEnv",
    )
    gymnasium.register(id="rllib_recattn/Wrapped-v0", entry_point="rllib_recattn.envs.wrapped:make_wrapped")
    minigrid.register()
    miniworld.register()
    memory_gym.register()
    popgym.register()
    memory_maze.register()
