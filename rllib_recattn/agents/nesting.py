"""Values that are nested like a space of Dicts and Tuples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from rllib_recattn.inputs.spaces import Path, leaves


def nested_like(space: gym.Space, values: Mapping[Path, Any]) -> Any:
    """Nest a value for each leaf of a space, given by the keys that lead there, as the space is nested."""
    return _nested(space, values, ())


def _nested(space: gym.Space, values: Mapping[Path, Any], path: Path) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {key: _nested(child, values, (*path, key)) for key, child in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_nested(child, values, (*path, index)) for index, child in enumerate(space.spaces))
    return values[path]


def leaves_in_rllibs_order(space: gym.Space) -> list[tuple[Path, gym.Space]]:
    """Return the leaves of a space with the keys of each Dict sorted, as RLlib lays logits out."""
    children: list[tuple[str | int, gym.Space]]
    if isinstance(space, gym.spaces.Dict):
        children = sorted(space.spaces.items())
    elif isinstance(space, gym.spaces.Tuple):
        children = list(enumerate(space.spaces))
    else:
        return leaves(space)
    return [((key, *path), leaf) for key, child in children for path, leaf in leaves_in_rllibs_order(child)]


def path_text(path: Path) -> str:
    """Return the keys that lead to a leaf as the end of half a sentence; nothing for a space that is its own leaf."""
    return f" at {'.'.join(map(str, path))!r}" if path else ""
