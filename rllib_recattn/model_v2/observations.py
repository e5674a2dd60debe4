"""From what RLlib's preprocessors make of observations back to what the environment said.

Shape suffixes: N rows.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.models.preprocessors import ATARI_OBS_SHAPE, ATARI_RAM_OBS_SHAPE
from torch import Tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.spaces import leaves


def model_space(space: gym.Space) -> gym.Space:
    """Return the space of the observations that a ModelV2 encodes.

    Args:
        space: The observation space that RLlib gives it, that of the preprocessed observations.

    Raises:
        SettingsError: If a Dict or Tuple holds an image of the size of Atari's screens, which RLlib changes and then
            cannot find again.
    """
    original = getattr(space, "original_space", space)
    if isinstance(original, gym.spaces.Box) and original.shape == ATARI_OBS_SHAPE:
        return space  # made smaller
    for path, leaf in leaves(original):
        if path and leaf.shape == ATARI_OBS_SHAPE:
            raise SettingsError(
                f"observation space: {'.'.join(map(str, path))} = {leaf}: RLlib's preprocessor takes it for an Atari "
                "screen; should have another size (gymnasium.wrappers.ResizeObservation), or the config "
                "experimental(_disable_preprocessor_api=True)"
            )
    return original


class Restore:
    """Turns preprocessed observations back into the environment's, so that both API stacks share their encoders.

    Args:
        space: The environment's observation space.
        inputs: What the observations are encoded with. Integers arrive as floats, which only the user's own encoders
            can tell.
    """

    def __init__(self, space: gym.Space, inputs: InputSettings):
        self._space = space
        self._casts = ":" in inputs.encoder["type"]

    def __call__(self, obs: Any) -> Any:
        """Map observations [N, …], nested like the space, to the environment's [N, …]."""
        return self._restored(obs, self._space)

    def _restored(self, obs: Any, space: gym.Space) -> Any:
        if isinstance(space, gym.spaces.Dict):
            return {key: self._restored(obs[key], child) for key, child in space.spaces.items()}
        if isinstance(space, gym.spaces.Tuple):
            return tuple(self._restored(part, child) for part, child in zip(obs, space.spaces, strict=True))
        if isinstance(space, gym.spaces.Discrete):
            return obs.reshape(len(obs), -1).argmax(dim=-1) + int(space.start)
        if isinstance(space, gym.spaces.MultiDiscrete):
            return _multi_discrete(obs.reshape(len(obs), -1), space)
        if space.shape == ATARI_RAM_OBS_SHAPE:
            obs = obs * 128 + 128  # whatever it is, RLlib took it for an Atari's memory
        if self._casts and not np.issubdtype(space.dtype, np.floating):
            return obs.round().to(torch.from_numpy(np.zeros(0, space.dtype)).dtype) if obs.is_floating_point() else obs
        return obs


def _multi_discrete(one_hot: Tensor, space: gym.spaces.MultiDiscrete) -> Tensor:
    parts = one_hot.split(np.asarray(space.nvec).ravel().tolist(), dim=-1)
    values = torch.stack([part.argmax(dim=-1) for part in parts], dim=-1)
    start = torch.as_tensor(np.asarray(space.start).ravel(), device=values.device)
    return (values + start).reshape(len(one_hot), *space.shape)
