"""What MiniWorld keeps to itself: the methods that a world of its kind replaces, and its reward."""

from __future__ import annotations

from typing import Any

from rllib_recattn.private_names import Override, private

_ENV = "miniworld.miniworld:MiniWorldEnv"
_LIST = "to let several environments of a process draw each its own world"

OVERRIDES = (
    Override(_ENV, "_gen_world", "to build worlds"),
    Override(_ENV, "_render_static", _LIST),
    Override(_ENV, "_render_world", _LIST),
)


def reward_of(env: Any) -> float:
    """Return MiniWorld's reward for reaching the goal now: 1 less what the steps cost."""
    return float(private(env, "_reward", "to reward an agent as MiniWorld's own worlds do")())
