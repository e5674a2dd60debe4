"""How Memory Maze is imported: without the package ``gym``, and with a faster test of what the ball touches.

Memory Maze 1.0.3 registers its environments with ``gym``, which is no longer maintained and does not run with NumPy 2.
What it needs besides is DeepMind's ``dm_control``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
from gymnasium.error import DependencyNotInstalled

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
        if not is_chosen and "dm_control._render" in sys.modules:
            # Whoever imports RLlib imports dm_control, which then has chosen to draw on a screen.
            importlib.reload(sys.modules["dm_control._render"])
        with _stand_in_for_gym():
            import memory_maze.maze
            import memory_maze.tasks
    except Exception as error:  # without EGL, PyOpenGL has an AttributeError
        raise DependencyNotInstalled(
            f"Memory Maze cannot be imported ({type(error).__name__}: {error}): {INSTALL}"
        ) from error
    _touch_quickly(memory_maze.maze)
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


def _touch_quickly(maze: Any) -> None:
    """Give Memory Maze targets that look at all contacts at once.

    dm_control's make an object of each of dozens of contacts, for each target, 50 times a step, which takes three
    quarters of the step's time. Others who use dm_control keep theirs.
    """
    slow = maze.target_sphere.TargetSphere
    if "_update_activation" in vars(slow) and slow.__module__ != __name__:
        quick = type("TargetSphere", (slow,), {"_update_activation": _update_activation, "__module__": __name__})
        maze.target_sphere = SimpleNamespace(TargetSphere=quick)


def _update_activation(self: Any, physics: Any) -> None:
    """Do what dm_control's method of the same name does."""
    if self._activated or not physics.data.ncon:
        return
    contacts = physics.data.contact
    allowed = self._specific_collision_geom_ids
    for pair in zip(contacts.geom1.tolist(), contacts.geom2.tolist(), strict=True):
        if self._geom_id in pair and (not allowed or pair[0] in allowed or pair[1] in allowed):
            self._activated = True
            physics.bind(self._material).rgba[-1] = 0
            return
