"""From logits to actions, as RLlib chooses them, and what of them the environment gets.

Shape suffixes: B rows, L logits, A numbers of an action.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from rllib_recattn.agents.nesting import leaves_in_rllibs_order, nested_like
from rllib_recattn.inputs.spaces import check_action_space, leaf_at


class Actions:
    """Chooses actions of a space.

    Discrete choices have a logit for each value; numbers have their mean and, behind all means of a Box, the logarithm
    of their standard deviation. RLlib's distributions lay them out like this (``core/distribution/torch``).

    Args:
        space: The action space.
        normalize: Whether Boxes with bounds take actions for numbers from −1 to 1, to be scaled to the bounds, RLlib's
            ``normalize_actions``.
        clip: Whether, where they are not scaled, actions are clipped to the bounds, RLlib's ``clip_actions``.

    Attributes:
        n_logits: L.

    Raises:
        SettingsError: If RLlib cannot choose actions of the space.
    """

    def __init__(self, space: gym.Space, normalize: bool, clip: bool):
        check_action_space(space)
        self._space = space
        self._leaves = [
            (path, _Numbers(leaf, normalize, clip) if isinstance(leaf, gym.spaces.Box) else _Choices(leaf))
            for path, leaf in leaves_in_rllibs_order(space)
        ]
        self._lone = self._leaves[0][1] if not self._leaves[0][0] else None  # what most spaces are
        self._sizes = [leaf.n_logits for _, leaf in self._leaves]
        self.n_logits = sum(self._sizes)

    def choose(self, logits: Tensor, explore: bool, generator: torch.Generator | None) -> Any:
        """Choose actions.

        Args:
            logits: [B, L].
            explore: Whether to draw them rather than to take the most likely ones.
            generator: What random numbers come from; None: PyTorch's.

        Returns:
            Arrays [B, …], nested like the space, as the model knows them: before they are scaled or clipped.
        """
        if self._lone is not None:
            return self._lone.choose(logits, explore, generator).numpy(force=True)
        chosen = {
            path: leaf.choose(part, explore, generator).numpy(force=True)
            for (path, leaf), part in zip(self._leaves, logits.split(self._sizes, dim=-1), strict=True)
        }
        return nested_like(self._space, chosen)

    def for_env(self, actions: Any, one: bool) -> Any:
        """Return what the environment gets.

        Args:
            actions: What :meth:`choose` returned.
            one: Whether to return the action of the only row, without its dimension.
        """
        if self._lone is not None:
            action = self._lone.for_env(actions)
            return action[0] if one else action
        scaled = {path: leaf.for_env(leaf_at(actions, path)) for path, leaf in self._leaves}
        return nested_like(self._space, {path: value[0] if one else value for path, value in scaled.items()})


class _Choices:
    """A Discrete or MultiDiscrete leaf."""

    def __init__(self, space: gym.Space):
        self._dtype, self._is_lone = np.dtype(space.dtype), isinstance(space, gym.spaces.Discrete)
        self._sizes = [int(size) for size in (space.nvec if isinstance(space, gym.spaces.MultiDiscrete) else [space.n])]  # type: ignore[attr-defined]
        self.n_logits = sum(self._sizes)

    def choose(self, logits: Tensor, explore: bool, generator: torch.Generator | None) -> Tensor:
        if self._is_lone:
            return _categorical(logits, explore, generator)
        choices = logits.split(self._sizes, dim=-1)
        return torch.stack([_categorical(each, explore, generator) for each in choices], dim=-1)

    def for_env(self, action: np.ndarray) -> np.ndarray:
        return action if action.dtype == self._dtype else action.astype(self._dtype)


class _Numbers:
    """A leaf that is a Box."""

    def __init__(self, space: gym.spaces.Box, normalize: bool, clip: bool):
        self._low, self._high, self._dtype = space.low, space.high, np.dtype(space.dtype)
        self._is_scaled = normalize and space.is_bounded() and space.dtype in (np.float32, np.float64)
        self._is_clipped = self._is_scaled or (clip and not normalize)
        self.n_logits = 2 * int(space.shape[0])

    def choose(self, logits: Tensor, explore: bool, generator: torch.Generator | None) -> Tensor:
        mean, log_std = logits.chunk(2, dim=-1)
        if not explore:
            return mean
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + log_std.exp() * noise

    def for_env(self, action: np.ndarray) -> np.ndarray:
        if self._is_scaled:
            action = self._low + (action + 1.0) * (self._high - self._low) / 2.0
        if self._is_clipped:
            action = np.clip(action, self._low, self._high)
        return action.astype(self._dtype)  # a copy: the logits stay what they are


def _categorical(logits: Tensor, explore: bool, generator: torch.Generator | None) -> Tensor:
    if not explore:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
