"""What ``custom_model_config`` holds. Importing this loads no RLlib."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, SettingsWarning, suggest, validate
from rllib_recattn.inputs.input_settings import WITHOUT_MLP, EncoderAsData, InputSettings, encoder_settings
from rllib_recattn.models.base import ModelSettings
from rllib_recattn.models.registry import recorded_settings, settings_of

# Under which a model of the catalog is registered: recattn_agalite.
PREFIX = "recattn_"
# Under which RLlib finds it with nothing registered; the second is what old checkpoints may say.
CLASS_PATHS = ("rllib_recattn.model_v2.RecAttnModelV2", "rllib_recattn.model_v2.model.RecAttnModelV2")


class ModelV2Fixes(Settings):
    """Which bugs of RLlib's old API stack are worked around; docs/rllib-notes.md tells what each of them does."""

    vtrace_padding: bool = Field(default=True, description="IMPALA, APPO: right value targets in rows with padding")
    window_bootstrap: bool = Field(default=True, description="GTrXL: the right memory for the value of a last step")


class ModelV2Settings(InputSettings):
    """What a user can say of a ModelV2 besides the model's own settings."""

    # A checkpoint holds what was written into custom_model_config, and nothing of defaults: they cannot change.
    encoder: EncoderAsData = Field(
        default_factory=lambda: encoder_settings(WITHOUT_MLP).model_dump(),
        description="as on the new API stack; but numbers go to the model as they are, where nothing else is said",
    )
    vf_share_layers: bool = Field(
        True,
        description="whether value and policy read one model's output; False: the value has a model of its own",
    )
    memory_view: bool = Field(
        True,
        description="gtrxl: whether the memory is a view of past steps, and not a part of the state; it is a part of "
        "the state beside use_prev_action and use_prev_reward, since RLlib mistakes the step of those otherwise",
    )
    rllib_fixes: ModelV2Fixes = Field(default=ModelV2Fixes(), description="which of RLlib's bugs are worked around")


def split_custom_model_config(
    custom_model_config: Mapping[str, Any], model: str | None, where: str
) -> tuple[ModelSettings, ModelV2Settings]:
    """Validate what a user wrote into ``custom_model_config``.

    Args:
        custom_model_config: The model's own settings, those of :class:`ModelV2Settings`, and ``model``, the name of
            the model, where `model` is None.
        model: The name of the model, if ``custom_model`` says it already.
        where: What the settings belong to, for error messages.

    Returns:
        The model's own settings, and the others.

    Raises:
        SettingsError: If something is missing, unknown or wrong.
    """
    rest = dict(custom_model_config)
    named = rest.pop("model", model)
    if named is None:
        raise SettingsError(f"{where}: 'model' is missing; should be a model's name, e.g. 'agalite'")
    if model is not None and named != model:
        raise SettingsError(f"{where}: model = {named!r}: should be left out, custom_model says {PREFIX + model!r}")
    if "max_seq_len" in rest:
        raise SettingsError(
            f"{where}: max_seq_len = {rest['max_seq_len']!r}: belongs one level up, beside custom_model"
        )
    own = {key: rest.pop(key) for key in ModelV2Settings.model_fields if key in rest}
    schema = settings_of(named)
    valid = {*schema.model_fields, *ModelV2Settings.model_fields}
    for key in rest.keys() - valid:
        if key not in schema.former:
            raise SettingsError(f"{where}: unknown setting {key!r}: {suggest(key, valid)}")
        # Nothing tells whether RLlib has this from a checkpoint or from a config that was just written.
        warnings.warn(f"{where}: {key} = {rest[key]!r}: {schema.former[key]}", SettingsWarning, stacklevel=2)
    return recorded_settings(named, rest, where), validate(ModelV2Settings, own, where)
