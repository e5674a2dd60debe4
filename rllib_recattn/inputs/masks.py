"""Action masks: which of the discrete actions an observation allows, and logits in which the others have no chance.

Shape suffixes: N observations, A logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from rllib_recattn.errors import SettingsError, suggest
from rllib_recattn.inputs.input_settings import InputSettings

if TYPE_CHECKING:
    from torch import Tensor

# Minus infinity makes NaN of entropies and divergences, 0 · ∞; a number near the end of float32's range makes infinite
# gradients of an entropy that is scaled by more than 1. A probability of 0 needs no more than a distance of 104.
FORBIDDEN = -1e20


@dataclass(frozen=True)
class ActionMask:
    """A part of the observations that says which actions are allowed, 1, and which are not, 0.

    Attributes:
        key: Its key in the Dict of observations.
        sizes: How many values each discrete choice has, one behind the other in masks and in logits; A in all.
    """

    key: str
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, observation_space: gym.Space, action_space: gym.Space, inputs: InputSettings) -> ActionMask | None:
        """Return the mask that settings ask for; None if they ask for none.

        Raises:
            SettingsError: If there is none in the observations, it does not fit the actions, or they cannot be masked.
        """
        key = inputs.action_mask
        if key is None:
            return None
        where = f"action_mask = {key!r}"
        if not isinstance(action_space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            raise SettingsError(
                f"{where}: the action space {action_space} cannot be masked; should be Discrete or MultiDiscrete"
            )
        if not isinstance(observation_space, gym.spaces.Dict):
            raise SettingsError(
                f"{where}: the observation space {observation_space} has no keys; should be a Dict of the mask and of "
                "what else there is to observe"
            )
        if key not in observation_space.spaces:
            raise SettingsError(
                f"{where}: no key of the observation space: {suggest(key, map(str, observation_space.spaces))}"
            )
        nvec = action_space.nvec if isinstance(action_space, gym.spaces.MultiDiscrete) else [action_space.n]
        sizes = tuple(int(size) for size in np.ravel(nvec))
        _check_mask_space(observation_space[key], sizes, where)
        if len(observation_space.spaces) == 1 and not inputs.action_mask_as_input:
            raise SettingsError(
                f"{where}: there is nothing else to observe; should have another key beside it, or "
                "action_mask_as_input = True"
            )
        return cls(key, sizes)

    def apply(self, logits: Tensor, observations: Mapping[str, Any]) -> Tensor:
        """Return logits [..., A] by which forbidden actions have probability 0.

        Log-probabilities, entropies and divergences are those of a distribution over the allowed actions, and so are
        their gradients. A choice of which nothing is allowed is left as it is: rows of a batch that are padded, and the
        last observations of episodes, have masks of zeros, and no action is taken there.
        """
        import torch  # what tries environments out does without

        lowest = max(FORBIDDEN, torch.finfo(logits.dtype).min)
        return torch.where(self.allowed(observations), logits, lowest)

    def allowed(self, observations: Mapping[str, Any]) -> Tensor:
        """Return [..., A] booleans, true where an action is allowed; of a choice of which nothing is, all are."""
        import torch

        allowed = observations[self.key] > 0
        parts = [part | ~part.any(-1, keepdim=True) for part in allowed.split(self.sizes, dim=-1)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def dead_ends(self, observations: Mapping[str, Any]) -> np.ndarray:
        """Return [N], whether there is a choice in which a mask [N, A] of observations allows nothing."""
        masks = np.asarray(observations[self.key])
        begins = np.cumsum((0, *self.sizes[:-1]))
        allowed = np.logical_or.reduceat(masks.reshape(len(masks), -1) > 0, begins, axis=1)
        return np.asarray(~allowed.all(axis=1))

    def no_action(self, where: str) -> SettingsError:
        """Return the error to raise where an agent is to act and nothing is allowed.

        Args:
            where: The environment and the step, as far as they are known.
        """
        choice = "action" if len(self.sizes) == 1 else "value of each component of the action"
        return SettingsError(
            f"{where}: the mask {self.key!r} allows no action; should have a 1 for at least one {choice}, unless the "
            "episode is over"
        )


def read_space(space: gym.Space, inputs: InputSettings) -> gym.Space:
    """Return the space of what an encoder reads: without the mask, unless that is to be an input."""
    if inputs.unread_key is None or not isinstance(space, gym.spaces.Dict):
        return space
    return gym.spaces.Dict({key: child for key, child in space.spaces.items() if key != inputs.unread_key})


def _check_mask_space(space: gym.Space, sizes: tuple[int, ...], where: str) -> None:
    n = sum(sizes)
    width = f"shape ({n},)" if len(sizes) == 1 else f"shape ({n},), {' + '.join(map(str, sizes))},"
    is_mask = isinstance(space, gym.spaces.MultiBinary) or (
        isinstance(space, gym.spaces.Box) and bool(np.all(space.low == 0)) and bool(np.all(space.high == 1))
    )
    if not is_mask or space.shape != (n,):
        raise SettingsError(
            f"{where}: the observation space has {space} there; should be a MultiBinary, or a Box from 0 to 1, of "
            f"{width} with a number for each value that can be chosen"
        )
