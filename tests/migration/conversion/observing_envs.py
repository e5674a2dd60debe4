"""Environments of other observations, by the paths of their classes."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from tests.rl_module.inputs.random_env import RandomEnv

_SPACES: dict[str, gym.Space] = {
    "image": Box(0, 255, (10, 12, 3), np.uint8),
    "nested": Dict({"vector": Box(-1, 1, (2,), np.float32), "choice": Discrete(3)}),
}


class ImageEnv(RandomEnv):
    """Shows images."""

    def __init__(self, config: dict[str, Any]):
        super().__init__({"observation_space": _SPACES["image"], "action_space": Discrete(2)})


class NestedEnv(RandomEnv):
    """Shows a Dict."""

    def __init__(self, config: dict[str, Any]):
        super().__init__({"observation_space": _SPACES["nested"], "action_space": Discrete(2)})
