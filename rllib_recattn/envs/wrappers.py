"""Wrappers that ready-made environments share, Gymnasium's own where it has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from gymnasium.wrappers import ResizeObservation, TransformAction

from rllib_recattn.errors import SettingsError
from rllib_recattn.success import SUCCESS

# The key of an episode's last info from which RLlib's success rate is made.


class ReportSuccess(gymnasium.Wrapper):
    """Puts ``success`` (a bool) into the last info of each episode, where reward tells it.

    An episode succeeds if it terminates with a positive reward. One that runs out of time does not.
    """

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step; the last one of an episode reports its success."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            info = {**info, SUCCESS: bool(terminated and float(reward) > 0)}
        return observation, reward, terminated, truncated, info


def select_actions(env: gymnasium.Env, actions: Sequence[int]) -> gymnasium.Env:
    """Leave an agent some of an environment's actions.

    Args:
        env: An environment with Discrete actions.
        actions: Those that remain. The first of them becomes action 0, and so on.

    Raises:
        SettingsError: If the actions of `env` are not Discrete, or `actions` are not distinct ones of them.
    """
    space = env.action_space
    if not isinstance(space, spaces.Discrete):
        raise SettingsError(f"actions = {list(actions)}: the action space is {space}, but should be Discrete")
    if not actions or len(set(actions)) < len(actions) or not all(map(space.contains, actions)):
        last = space.start + space.n - 1
        raise SettingsError(f"actions = {list(actions)}: should be distinct numbers from {space.start} to {last}")
    return TransformAction(env, _Pick(tuple(actions)), spaces.Discrete(len(actions)))


def resize_frames(env: gymnasium.Env, height: int, width: int) -> gymnasium.Env:
    """Scale the pictures that an environment observes, with OpenCV (the extra ``frames``).

    Args:
        env: An environment that observes pictures of bytes, [H, W, C] or [H, W].
        height: Rows of the new pictures.
        width: Columns of the new pictures.

    Raises:
        SettingsError: If `env` observes anything else, a size is not positive, or OpenCV is not installed.
    """
    where = f"frame_size = [{height}, {width}]"
    space = env.observation_space
    if not isinstance(space, spaces.Box) or not _is_of_bytes(space) or len(space.shape) not in (2, 3):
        raise SettingsError(f"{where}: the observation space is {space}, but should be pictures of bytes, 0 … 255")
    if height < 1 or width < 1:
        raise SettingsError(f"{where}: should be positive")
    try:
        return ResizeObservation(env, (height, width))
    except DependencyNotInstalled as error:
        raise SettingsError(f"{where} needs OpenCV: pip install 'rllib-recattn[frames]'") from error


def _is_of_bytes(space: spaces.Box) -> bool:
    return space.dtype == np.uint8 and bool((space.low == 0).all() and (space.high == 255).all())


@dataclass(frozen=True)
class _Pick:
    """Gymnasium remakes an environment from its spec only if functions made again equal those of before."""

    actions: tuple[int, ...]

    def __call__(self, action: int) -> int:
        return self.actions[action]
