"""How Memory Maze is imported: without the package ``gym``, and with a faster test of what the ball touches.

Memory Maze 1.0.3 registers its environments with ``gym``, which is no longer maintained and does not run with NumPy 2.
What it needs besides is DeepMind's ``dm_control``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.error import DependencyNotInstalled

from rllib_recattn.envs.memory_maze.dm_control_internals import choose_renderer_again, touch_quickly

INSTALL = "pip install 'rllib-recattn[memory-maze]', and to draw off screen: sudo apt-get install libegl1 libgl1"


def memory_maze_tasks() -> Any:
    """Import Memory Maze.

    Returns:
        The module ``memory_maze.tasks``.

    Raises:
        DependencyNotInstalled: If it cannot be imported; the message has the line that installs it.
    """
    is_chosen = "MUJOCO_GL" in os.environ
    os.environ.setdefault("MUJOCO_GL", "egl")
    # With threads of its own, Mesa's software renderer deadlocks in forked processes, such as Gymnasium's
    # AsyncVectorEnv starts.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        if not is_chosen:
            choose_renderer_again()
        with _stand_in_for_gym():
            import memory_maze.maze
            import memory_maze.tasks
    except Exception as error:  # without EGL, PyOpenGL has an AttributeError
        raise DependencyNotInstalled(
            f"Memory Maze cannot be imported ({type(error).__name__}: {error}): {INSTALL}"
        ) from error
    touch_quickly(memory_maze.maze)
    return memory_maze.tasks


@contextmanager
def _stand_in_for_gym() -> Iterator[None]:
    """Have ``import gym`` find what Memory Maze wants of it, and afterwards whatever it found before."""
    names: dict[str, Any] = {
        "gym": {"Env": gymnasium.Env, "Space": gymnasium.Space, "spaces": gymnasium.spaces},
        "gym.envs": {},
        "gym.envs.registration": {"register": lambda **kwargs: None},
    }
    before = {name: sys.modules.get(name) for name in names}
    for name, contents in names.items():
        module = ModuleType(name)
        module.__dict__.update(contents)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name, found in before.items():
            if found is None:
                del sys.modules[name]
            else:
                sys.modules[name] = found
