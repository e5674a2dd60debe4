"""The previous action and the previous reward as one vector a step.

Shape suffixes: T steps, A numbers of an encoded action.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.spaces import leaf_at, leaves, one_hot_slots

# The column of RLlib's batches in which these vectors reach a module.
PREVIOUS = "prev_action_and_reward"


class PreviousInputs:
    """Encodes actions and rewards of one action space.

    Actions become one-hot vectors (Discrete, MultiDiscrete) or stay numbers (Box, as sampled, before RLlib scales or
    clips them for the environment), the leaves of Dict and Tuple one after the other. All zeros stand for what was
    before an episode, which no action equals that holds a discrete choice.

    Args:
        action_space: The action space.
        settings: Whether the action, the reward or both are encoded.

    Attributes:
        size: Numbers a step; 0 if neither is encoded.
    """

    def __init__(self, action_space: gym.Space, settings: InputSettings):
        self._with_reward = settings.use_prev_reward
        self._leaves = [
            (path, one_hot_slots(leaf) if isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete) else None)
            for path, leaf in leaves(action_space)
            if settings.use_prev_action
        ]
        sizes = (
            math.prod(leaf_at(action_space, path).shape) if slots is None else len(slots[0])
            for path, slots in self._leaves
        )
        self.size = sum(sizes) + self._with_reward

    def encode(self, actions: Any, rewards: Any, steps: int) -> np.ndarray:
        """Encode actions [T, …], nested like their space, and rewards [T] as a float32 array [T, size]."""
        parts = []
        for path, slots in self._leaves:
            values = np.asarray(leaf_at(actions, path)).reshape(steps, -1)
            if slots is not None:
                component, value = slots
                values = values[:, component] == value
            parts.append(values)
        if self._with_reward:
            parts.append(np.asarray(rewards).reshape(steps, 1))
        return np.concatenate(parts, axis=1, dtype=np.float32)
