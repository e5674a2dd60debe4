"""Observation and action spaces: their leaves, and which of them a model can have."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rllib_recattn.errors import SettingsError

Path = tuple[str | int, ...]


def leaves(space: gym.Space) -> list[tuple[Path, gym.Space]]:
    """Return the spaces that a nested Dict or Tuple space consists of, each with the keys that lead to it."""
    children: list[tuple[str | int, gym.Space]]
    if isinstance(space, gym.spaces.Dict):
        children = list(space.spaces.items())
    elif isinstance(space, gym.spaces.Tuple):
        children = list(enumerate(space.spaces))
    else:
        return [((), space)]
    return [((key, *path), leaf) for key, child in children for path, leaf in leaves(child)]


def leaf_at(nested: Any, path: Path) -> Any:
    """Return what stands at `path` of nested mappings and tuples."""
    for key in path:
        nested = nested[key]
    return nested


def one_hot_slots(space: gym.spaces.Discrete | gym.spaces.MultiDiscrete) -> tuple[np.ndarray, np.ndarray]:
    """Return what each number of a one-hot vector stands for.

    Returns:
        For each of the F numbers, which component of the (flattened) value it looks at, and for which value of that
        component it is 1.
    """
    sizes = np.atleast_1d(space.nvec if isinstance(space, gym.spaces.MultiDiscrete) else space.n).ravel()
    starts = np.atleast_1d(space.start).ravel()
    component = np.repeat(np.arange(len(sizes)), sizes)
    value = np.concatenate([start + np.arange(size) for start, size in zip(starts, sizes, strict=True)])
    return component, value


def check_observation_space(space: gym.Space) -> None:
    """Refuse observation spaces that no encoder turns into a vector.

    Raises:
        SettingsError: If `space` is or holds anything but Box, Discrete, MultiDiscrete and MultiBinary in Dict and
            Tuple, or has nothing to observe.
    """
    where = f"observation space {space}"
    for path, leaf in leaves(space):
        if not isinstance(leaf, _OBSERVED):
            raise SettingsError(
                f"{where}: {_place(path, leaf)} should be Box, Discrete, MultiDiscrete or MultiBinary, or a Dict or "
                "Tuple of those; turn it into one of them, or drop it, with a Gymnasium wrapper"
            )
        if 0 in (leaf.shape or ()):
            raise SettingsError(f"{where}: {_place(path, leaf)} should have at least one number")
    if not leaves(space):
        raise SettingsError(f"{where}: should have something to observe")


def check_action_space(space: gym.Space) -> None:
    """Refuse action spaces that RLlib cannot sample from, or, in silence, samples other actions from.

    Raises:
        SettingsError: If `space` is or holds anything but Discrete, MultiDiscrete, and Box with one dimension, in
            Dict and Tuple.
    """
    where = f"action space {space}"
    if not leaves(space):
        raise SettingsError(f"{where}: should have something to choose")
    for path, leaf in leaves(space):
        place = _place(path, leaf)
        if isinstance(leaf, gym.spaces.MultiBinary):
            raise SettingsError(f"{where}: {place} should be MultiDiscrete, with 2 values for each of its bits")
        if not isinstance(leaf, gym.spaces.Box | gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            raise SettingsError(
                f"{where}: {place} should be Discrete, MultiDiscrete or Box, or a Dict or Tuple of those"
            )
        if isinstance(leaf, gym.spaces.Box):
            if not np.issubdtype(leaf.dtype, np.floating):
                raise SettingsError(f"{where}: {place} should have a float dtype; integers are MultiDiscrete's")
        # RLlib samples from 0 to n − 1 and hands that to the environment.
        elif np.any(leaf.start):
            raise SettingsError(f"{where}: {place} should start at 0: shift the actions with a Gymnasium wrapper")
        if not isinstance(leaf, gym.spaces.Discrete) and len(leaf.shape) != 1:
            raise SettingsError(f"{where}: {place} should have one dimension")


_OBSERVED = (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)


def _place(path: Path, leaf: gym.Space) -> str:
    return f"{leaf} at {'.'.join(map(str, path))!r}" if path else "it"
