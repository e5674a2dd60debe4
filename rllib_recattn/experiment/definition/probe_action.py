"""An action to try an environment out with, one that its action mask allows if it has one."""

from __future__ import annotations

import contextlib
from typing import Any

import gymnasium as gym
import numpy as np

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.inputs.masks import ActionMask


def allowed_action(observed: Any, acted: Any, observation: Any) -> Any:
    """Draw an action of a space.

    Which key of the observations is a mask is not known yet: each that can be one is taken for one. Of what is none a
    mask allows other actions than there are, which is as well.

    Args:
        observed: The observation space.
        acted: The action space.
        observation: The observation before it.
    """
    acted.seed(0)
    if not isinstance(observed, gym.spaces.Dict):
        return acted.sample()
    for key in observed.spaces:
        with contextlib.suppress(SettingsError):
            mask = ActionMask.of(
                observed, acted, validate(InputSettings, {"action_mask": key, "action_mask_as_input": True}, key)
            )
            if mask is None or mask.dead_ends({key: np.asarray(observation[key])[None]})[0]:
                continue
            values = (np.asarray(observation[key]) > 0).astype(np.int8)
            parts = tuple(np.split(values, np.cumsum(mask.sizes)[:-1]))
            return acted.sample(mask=parts[0] if isinstance(acted, gym.spaces.Discrete) else parts)
    return acted.sample()
