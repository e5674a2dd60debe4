"""What decides what a policy computes, whichever API stack runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import InputSettings
from rllib_recattn.model_v2 import RecAttnModelV2
from rllib_recattn.model_v2.settings import CLASS_PATHS, PREFIX, split_custom_model_config
from rllib_recattn.models.base import ModelSettings
from rllib_recattn.models.registry import qualified_name, recorded_settings
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY
from rllib_recattn.rl_module.recurrence import settings_in


@dataclass(frozen=True)
class Agent:
    """A policy's networks.

    Attributes:
        model: The model's name.
        settings: The model's own settings.
        inputs: What the model sees.
        vf_share_layers: Whether the value function reads the output of the policy's model.
        free_log_std: Whether the log standard deviations of Box actions are weights of their own.
        head_widths: Hidden units between the model and its outputs; a ModelV2 has none.
        max_seq_len: Steps of a row in training, which decide nothing while acting.
    """

    model: str
    settings: ModelSettings
    inputs: InputSettings
    vf_share_layers: bool
    free_log_std: bool
    head_widths: tuple[int, ...]
    max_seq_len: int

    @classmethod
    def of_model_dict(cls, model: Mapping[str, Any], where: str) -> Agent | None:
        """Read the old stack's ``model`` dict; None if it asks for no model of this package.

        Raises:
            SettingsError: If the settings are wrong, or change what the model gives without a counterpart.
        """
        custom = model.get("custom_model")
        if isinstance(custom, type) and issubclass(custom, RecAttnModelV2):
            name = custom.model_name
        elif custom in CLASS_PATHS:
            name = None
        elif isinstance(custom, str) and custom.startswith(PREFIX):
            name = custom.removeprefix(PREFIX)
        else:
            return None
        if model.get("custom_action_dist"):
            raise SettingsError(
                f"{where}: custom_action_dist = {model['custom_action_dist']!r} has no counterpart on the other stack"
            )
        custom_model_config = dict(model.get("custom_model_config") or {})
        settings, inputs = split_custom_model_config(custom_model_config, name, where)
        return cls(
            model=qualified_name(name or custom_model_config["model"]),
            settings=settings,
            inputs=_inputs(inputs),
            vf_share_layers=inputs.vf_share_layers,
            # Of a class path RLlib hands on custom_model_config alone.
            free_log_std=bool(model.get("free_log_std")) and custom not in CLASS_PATHS,
            head_widths=(),
            max_seq_len=model["max_seq_len"],
        )

    @classmethod
    def of_model_config(cls, model_config: Any, where: str) -> Agent | None:
        """Read the new stack's ``model_config``; None if it asks for no model of this package.

        Raises:
            SettingsError: If the settings are wrong.
        """
        if not isinstance(model_config, Mapping) or MODEL_CONFIG_KEY not in model_config:
            return None
        settings = dict(model_config[MODEL_CONFIG_KEY])
        name = settings.pop("model")
        recurrence = settings_in(model_config)
        return cls(
            model=name,
            settings=recorded_settings(name, settings, where),
            inputs=_inputs(recurrence),
            vf_share_layers=recurrence.vf_share_layers,
            free_log_std=bool(model_config.get("free_log_std")),
            head_widths=tuple(model_config.get("head_fcnet_hiddens") or ()),
            max_seq_len=recurrence.max_seq_len,
        )

    def model_dict(self) -> dict[str, Any]:
        """Return the old stack's ``model`` dict for it.

        The class itself stands in it: nothing has to be registered for it in the process that loads a checkpoint, and
        RLlib hands it the whole dict, which it keeps from a class path.
        """
        return {
            "custom_model": RecAttnModelV2,
            "custom_model_config": {
                "model": self.model,
                **self.settings.model_dump(),
                **self.inputs.model_dump(),
                "vf_share_layers": self.vf_share_layers,
            },
            "free_log_std": self.free_log_std,
            "max_seq_len": self.max_seq_len,
        }

    def use_model_arguments(self) -> dict[str, Any]:
        """Return the arguments of ``use_model`` for it, besides the config."""
        return {
            "model": self.model,
            "max_seq_len": self.max_seq_len,
            "vf_share_layers": self.vf_share_layers,
            **self.inputs.model_dump(),
            **self.settings.model_dump(),
        }

    def differences(self, other: Agent) -> list[str]:
        """Say in which of its settings `other` computes something else, in no particular stack's words."""
        mine, its = self._described(), other._described()
        keys = sorted(mine.keys() | its.keys())
        return [f"{key}: {mine.get(key)!r} and {its.get(key)!r}" for key in keys if mine.get(key) != its.get(key)]

    def _described(self) -> dict[str, Any]:
        return {
            **self.settings.model_dump(),
            **self.inputs.model_dump(),
            "model": self.model.rpartition(":")[2],
            "vf_share_layers": self.vf_share_layers,
            "free_log_std": self.free_log_std,
            "head_fcnet_hiddens": list(self.head_widths),
        }


def _inputs(settings: InputSettings) -> InputSettings:
    return InputSettings(**{key: getattr(settings, key) for key in InputSettings.model_fields})
