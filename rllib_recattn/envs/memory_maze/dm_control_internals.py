"""What DeepMind's ``dm_control`` keeps to itself and Memory Maze is mended with."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace
from typing import Any

from rllib_recattn.private_names import private

_TOUCH = "to find out faster what Memory Maze's ball touches"


def choose_renderer_again() -> None:
    """Have ``dm_control`` choose by ``MUJOCO_GL``, if it has chosen before: whoever imports RLlib imports it."""
    renderers = sys.modules.get("dm_control._render")
    if renderers is not None:
        importlib.reload(renderers)


def touch_quickly(maze: Any) -> None:
    """Give Memory Maze targets that look at all contacts at once.

    dm_control's make an object of each of dozens of contacts, for each target, 50 times a step, which takes three
    quarters of the step's time. Others who use dm_control keep theirs.

    Args:
        maze: The module ``memory_maze.maze``.
    """
    slow = maze.target_sphere.TargetSphere
    if slow.__module__ != __name__:
        private(slow, "_update_activation", _TOUCH)
        quick = type("TargetSphere", (slow,), {"_update_activation": _update_activation, "__module__": __name__})
        maze.target_sphere = SimpleNamespace(TargetSphere=quick)


def _update_activation(self: Any, physics: Any) -> None:
    """Do what dm_control's method of the same name does."""
    if self._activated or not physics.data.ncon:
        return
    contacts = physics.data.contact
    allowed = private(self, "_specific_collision_geom_ids", _TOUCH)
    own = private(self, "_geom_id", _TOUCH)
    for pair in zip(contacts.geom1.tolist(), contacts.geom2.tolist(), strict=True):
        if own in pair and (not allowed or pair[0] in allowed or pair[1] in allowed):
            self._activated = True
            physics.bind(private(self, "_material", _TOUCH)).rgba[-1] = 0
            return
