"""The RLlib catalog that puts a model of ours where RLlib would put its LSTM."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.core.models.configs import FreeLogStdMLPHeadConfig

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.inputs.input_settings import INPUTS_KEY, InputSettings
from rllib_recattn.inputs.masks import ActionMask
from rllib_recattn.inputs.spaces import check_action_space, check_observation_space
from rllib_recattn.models.registry import recorded_settings
from rllib_recattn.rl_module.encoder import RecAttnEncoderConfig
from rllib_recattn.rl_module.fixes.action_distribution import over_time
from rllib_recattn.rl_module.fixes.free_log_std import FreeLogStdHead
from rllib_recattn.rl_module.recurrence import split_model_config

MODEL_CONFIG_KEY = "recattn"


class RecAttnEncoders:
    """Makes one of RLlib's catalogs build the encoder that ``use_model`` has written into ``model_config``.

    Stands before it as a base class.
    """

    @classmethod
    def _get_encoder_config(
        cls,
        observation_space: gym.Space,
        model_config_dict: dict[str, Any],
        action_space: gym.Space,
    ) -> RecAttnEncoderConfig:
        if MODEL_CONFIG_KEY not in model_config_dict:
            raise SettingsError(
                f"model_config has no {MODEL_CONFIG_KEY!r}: a later config.rl_module(model_config=…) replaced what "
                "use_model had written; call use_model after it"
            )
        check_observation_space(observation_space)
        check_action_space(action_space)
        inputs = validate(InputSettings, _inputs_in(model_config_dict), f"model_config[{INPUTS_KEY!r}]")
        ActionMask.of(observation_space, action_space, inputs)  # refuses what does not fit, before there are weights
        settings = dict(model_config_dict[MODEL_CONFIG_KEY])
        name = settings.pop("model")
        return RecAttnEncoderConfig(
            observation_space=observation_space,
            action_space=action_space,
            inputs=inputs,
            settings=recorded_settings(name, settings, where=f"model_config[{MODEL_CONFIG_KEY!r}]"),
        )


class RecAttnCatalog(RecAttnEncoders, PPOCatalog):
    """The catalog of actor-critic modules; heads are RLlib's own."""

    def build_pi_head(self, framework: str) -> Any:
        """Build the policy head: RLlib's, mended where log standard deviations are free."""
        head = super().build_pi_head(framework)
        if isinstance(self.pi_head_config, FreeLogStdMLPHeadConfig):
            return FreeLogStdHead(self.pi_head_config)
        return head

    def get_action_dist_cls(self, framework: str) -> Any:
        """Return the class of the action distribution: RLlib's, mended for Tuple and Dict spaces."""
        distribution = super().get_action_dist_cls(framework)
        if isinstance(self.action_space, gym.spaces.Tuple | gym.spaces.Dict):
            return over_time(distribution)
        return distribution


def is_stock_catalog(catalog_class: type | None) -> bool:
    """Whether a catalog is RLlib's, or none: nothing of the user's own, and without the models of this package."""
    return catalog_class is None or str(getattr(catalog_class, "__module__", "")).startswith("ray.rllib.")


def _inputs_in(model_config: dict[str, Any]) -> dict[str, Any]:
    settings, _ = split_model_config({INPUTS_KEY: model_config.get(INPUTS_KEY, {})})
    return settings
