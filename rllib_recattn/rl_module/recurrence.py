"""How RLlib trains a recurrent model, whichever it is, and where `model_config` holds it. Loads no RLlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from rllib_recattn.errors import Settings, SettingsError, validate
from rllib_recattn.inputs.input_settings import INPUTS_KEY, InputSettings, stored_encoder
from rllib_recattn.rl_module.q_learning.settings import QLearningSettings

DEFAULT_MAX_SEQ_LEN = 64

# RLlib reads its own keys at the top level of `model_config`; the sections hold the rest.
_RLLIB_KEYS = ("max_seq_len", "vf_share_layers")
_SECTIONS = {
    INPUTS_KEY: tuple(InputSettings.model_fields),
    "recattn_training": (
        "sparse_states",
        "lean_sampling",
        "pack_rows",
        "burn_in",
        "report_metrics",
        "rllib_fixes",
        "q_learning",
    ),
}


class RLlibFixes(Settings):
    """Which of RLlib's bugs are worked around; docs/rllib-notes.md tells what each of them does."""

    sync_critic_encoder: bool = Field(default=True, description="send a critic's own encoder to the EnvRunners")
    vtrace_bootstrap: bool = Field(default=True, description="IMPALA, APPO: right value targets at the ends of chunks")
    values_without_grad: bool = Field(default=True, description="PPO: estimate advantages without building a graph")
    minibatch_check: bool = Field(default=True, description="refuse minibatches that are smaller than one row")
    empty_minibatch: bool = Field(default=True, description="no NaN where no step of a minibatch has a loss")
    float32_state: bool = Field(default=True, description="carry states as float32, whatever the model computes in")
    scalar_actions: bool = Field(default=True, description="several agents: actions that can be a key of a dict")
    recorded_once: bool = Field(default=True, description="`output`: write each episode once, without Ray Data")
    offline_restore: bool = Field(default=True, description="BC, MARWIL: go on from a checkpoint of their own")
    fresh_seeds: bool = Field(default=True, description="with a seed: new levels and random numbers after a restore")


class RecurrenceSettings(InputSettings):
    """What a user can say of a recurrent model besides the model's own settings."""

    max_seq_len: int = Field(
        DEFAULT_MAX_SEQ_LEN,
        gt=0,
        description="steps through which a gradient flows; RLlib pads rows to this length",
    )
    vf_share_layers: bool = Field(
        True,
        description="whether value and policy read one model's output; False: the value has a model of its own",
    )
    sparse_states: bool = Field(
        True,
        description="whether episodes carry only the states that the learner asks for, and not one for each step",
    )
    lean_sampling: bool = Field(
        True,
        description="whether all environments of an EnvRunner are sampled in one batch, where RLlib's way can be left",
    )
    pack_rows: bool = Field(
        True,
        description="whether rows of a train batch are filled with other chunks that start an episode, not padded",
    )
    burn_in: int = Field(
        0,
        ge=0,
        description="steps at the beginning of a row that continues an episode which have no loss",
    )
    report_metrics: bool = Field(True, description="whether the learner reports learners/<policy>/recattn/…")
    rllib_fixes: RLlibFixes = Field(default=RLlibFixes(), description="which of RLlib's bugs are worked around")
    q_learning: QLearningSettings | None = Field(None, description="DQN: what RLlib's settings have no place for")

    @model_validator(mode="after")
    def _check_burn_in(self) -> RecurrenceSettings:
        if self.burn_in >= self.max_seq_len:
            raise SettingsError(f"burn_in = {self.burn_in}: should be less than max_seq_len = {self.max_seq_len}")
        return self


def as_model_config(recurrence: RecurrenceSettings) -> dict[str, Any]:
    """Return the part of `model_config` that holds these settings, as plain data."""
    values = recurrence.model_dump()
    model_config = {key: values[key] for key in _RLLIB_KEYS}
    for section, keys in _SECTIONS.items():
        model_config[section] = {key: values[key] for key in keys if values.get(key) is not None}
    return model_config


def place_in_model_config(key: str) -> tuple[str, ...]:
    """Return the keys below which `model_config` holds a setting."""
    return next(((section,) for section, keys in _SECTIONS.items() if key in keys), ())


def split_model_config(model_config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Undo :func:`as_model_config`: return the settings by name, and what else `model_config` holds.

    What an earlier version wrote means what it meant; see :func:`~rllib_recattn.inputs.input_settings.stored_encoder`.
    """
    rest = dict(model_config)
    settings = {key: rest.pop(key) for key in _RLLIB_KEYS if key in rest}
    for section in _SECTIONS:
        settings |= rest.pop(section, {})
    if isinstance(settings.get("encoder"), Mapping):
        settings["encoder"] = stored_encoder(settings["encoder"])
    return settings, rest


def settings_in(model_config: Mapping[str, Any]) -> RecurrenceSettings:
    """Return the settings that `model_config` holds, with defaults for those that it does not.

    Raises:
        SettingsError: If one is wrong, as what a search has chosen may be.
    """
    settings, _ = split_model_config(model_config)
    return validate(RecurrenceSettings, settings, "model_config")
