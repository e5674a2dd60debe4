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
from rllib_recattn.inputs.spaces import Path, check_action_space, leaf_at


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
        self._space, self._normalize, self._clip = space, normalize, clip
        self._leaves = leaves_in_rllibs_order(space)
        self._sizes = [_n_logits(leaf) for _, leaf in self._leaves]
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
        chosen: dict[Path, np.ndarray] = {}
        for (path, leaf), part in zip(self._leaves, logits.split(self._sizes, dim=-1), strict=True):
            if isinstance(leaf, gym.spaces.Box):
                action = _gaussian(part, explore, generator)
            elif isinstance(leaf, gym.spaces.MultiDiscrete):
                choices = part.split([int(n) for n in leaf.nvec], dim=-1)
                action = torch.stack([_categorical(each, explore, generator) for each in choices], dim=-1)
            else:
                action = _categorical(part, explore, generator)
            chosen[path] = action.cpu().numpy()
        return nested_like(self._space, chosen)

    def for_env(self, actions: Any, one: bool) -> Any:
        """Return what the environment gets.

        Args:
            actions: What :meth:`choose` returned.
            one: Whether to return the action of the only row, without its dimension.
        """
        scaled = {path: self._for_env(leaf_at(actions, path), leaf) for path, leaf in self._leaves}
        return nested_like(self._space, {path: value[0] if one else value for path, value in scaled.items()})

    def _for_env(self, action: np.ndarray, leaf: gym.Space) -> np.ndarray:
        if isinstance(leaf, gym.spaces.Box):
            if not self._normalize:
                action = np.clip(action, leaf.low, leaf.high) if self._clip else action
            elif leaf.is_bounded() and leaf.dtype in (np.float32, np.float64):
                action = leaf.low + (action + 1.0) * (leaf.high - leaf.low) / 2.0
                action = np.clip(action, leaf.low, leaf.high)
        return action.astype(leaf.dtype)


def _n_logits(leaf: gym.Space) -> int:
    if isinstance(leaf, gym.spaces.Box):
        return 2 * int(leaf.shape[0])
    return int(leaf.n) if isinstance(leaf, gym.spaces.Discrete) else int(leaf.nvec.sum())  # type: ignore[attr-defined]


def _categorical(logits: Tensor, explore: bool, generator: torch.Generator | None) -> Tensor:
    if not explore:
        return logits.argmax(-1)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def _gaussian(logits: Tensor, explore: bool, generator: torch.Generator | None) -> Tensor:
    mean, log_std = logits.chunk(2, dim=-1)
    if not explore:
        return mean
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean + log_std.exp() * noise
