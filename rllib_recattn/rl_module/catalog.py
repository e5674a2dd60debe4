"""The RLlib catalog that puts a model of ours where RLlib would put its LSTM."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.registry import model_settings
from rllib_recattn.rl_module.encoder import RecAttnEncoderConfig

MODEL_CONFIG_KEY = "recattn"


class RecAttnCatalog(PPOCatalog):
    """Builds the encoder that ``model_config["recattn"]`` describes; heads and action distributions are RLlib's own."""

    @classmethod
    def _get_encoder_config(
        cls,
        observation_space: gym.Space,
        model_config_dict: dict[str, Any],
        action_space: gym.Space | None = None,
    ) -> RecAttnEncoderConfig:
        if MODEL_CONFIG_KEY not in model_config_dict:
            raise SettingsError(
                f"model_config has no {MODEL_CONFIG_KEY!r}: a later config.rl_module(model_config=…) replaced what "
                "use_model had written; call use_model after it"
            )
        if not isinstance(observation_space, gym.spaces.Box) or len(observation_space.shape) != 1:
            raise SettingsError(
                f"observation space {observation_space}: should be a Box with one dimension; flatten it with RLlib's "
                "FlattenObservations connector or a Gymnasium wrapper"
            )
        if not isinstance(action_space, gym.spaces.Box | gym.spaces.Discrete):
            raise SettingsError(f"action space {action_space}: should be Discrete or Box")
        settings = dict(model_config_dict[MODEL_CONFIG_KEY])
        name = settings.pop("model")
        return RecAttnEncoderConfig(
            input_dims=observation_space.shape,
            settings=model_settings(name, settings, where=f"model_config[{MODEL_CONFIG_KEY!r}]"),
        )
