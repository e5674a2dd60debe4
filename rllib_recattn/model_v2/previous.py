"""The previous action and reward as views of RLlib's sample batches.

Shape suffixes: N steps, A numbers of an action as RLlib's old stack stores it.
"""

from __future__ import annotations

import math

import gymnasium as gym
import torch
import tree
from ray.rllib.policy.sample_batch import SampleBatch
from ray.rllib.policy.view_requirement import ViewRequirement
from torch import Tensor, nn

from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.previous import PreviousInputs
from rllib_recattn.inputs.spaces import leaf_at, leaves, one_hot_slots


class PreviousViews(nn.Module):
    """Encodes the previous actions and rewards of a batch as :class:`PreviousInputs` does.

    Args:
        action_space: The action space.
        settings: Whether the action, the reward or both are encoded.

    Attributes:
        size: Numbers a step; 0 if neither is encoded.
    """

    def __init__(self, action_space: gym.Space, settings: InputSettings):
        super().__init__()
        self.size = PreviousInputs(action_space, settings).size
        self._with_action, self._with_reward = settings.use_prev_action, settings.use_prev_reward
        self._action_space = action_space
        self._encoders = [_LeafEncoder(leaf, columns) for leaf, columns in _columns(action_space)]

    def view_requirements(self) -> dict[str, ViewRequirement]:
        """Return the views that a ModelV2 needs for it, by the columns in which they arrive."""
        views = {}
        if self._with_action:
            views[SampleBatch.PREV_ACTIONS] = ViewRequirement(SampleBatch.ACTIONS, space=self._action_space, shift=-1)
        if self._with_reward:
            views[SampleBatch.PREV_REWARDS] = ViewRequirement(SampleBatch.REWARDS, shift=-1)
        return views

    def forward(self, batch: SampleBatch, is_first: Tensor) -> Tensor:
        """Encode a batch's previous actions and rewards as [N, size].

        Args:
            batch: Holds the columns of :meth:`view_requirements`.
            is_first: [N], True where an episode begins. RLlib fills the views with zeros there, and 0 is an action
                like others, while the models of this package see all zeros.
        """
        parts = []
        if self._with_action:
            actions = batch[SampleBatch.PREV_ACTIONS].reshape(len(is_first), -1)
            parts += [encoder(actions) for encoder in self._encoders]
        if self._with_reward:
            parts.append(batch[SampleBatch.PREV_REWARDS].reshape(-1, 1).float())
        return torch.cat(parts, dim=-1).masked_fill(is_first.unsqueeze(-1), 0)


class _LeafEncoder:
    """Encodes one leaf of a flattened action [N, A]."""

    def __init__(self, leaf: gym.Space, columns: slice):
        self._columns = columns
        self._slots = None
        if isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
            self._slots = tuple(map(torch.as_tensor, one_hot_slots(leaf)))

    def __call__(self, actions: Tensor) -> Tensor:
        values = actions[:, self._columns]
        if self._slots is None:
            return values.float()
        component, value = (slots.to(values.device) for slots in self._slots)
        return values[:, component].eq(value).float()


def _columns(action_space: gym.Space) -> list[tuple[gym.Space, slice]]:
    """Return the leaves of an action space in the order of its encoding, each with its columns in a stored action.

    RLlib's old stack flattens the leaves of Dict and Tuple actions into one vector, in the order of dm-tree.
    """
    paths = [path for path, _ in leaves(action_space)]
    indices = {path: index for index, path in enumerate(paths)}
    nested = _nest(action_space, (), indices)
    stored, begin = {}, 0
    for index in tree.flatten(nested):
        width = math.prod(leaf_at(action_space, paths[index]).shape or (1,))
        stored[index] = slice(begin, begin + width)
        begin += width
    return [(leaf, stored[index]) for index, (_, leaf) in enumerate(leaves(action_space))]


def _nest(space: gym.Space, path: tuple, indices: dict) -> object:
    if isinstance(space, gym.spaces.Dict):
        return {key: _nest(child, (*path, key), indices) for key, child in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_nest(child, (*path, index), indices) for index, child in enumerate(space.spaces))
    return indices[path]
