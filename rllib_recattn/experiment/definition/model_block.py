"""Check an experiment's ``model`` block against the settings of the model that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import create_model

from rllib_recattn.errors import SettingsError, shown, validate
from rllib_recattn.experiment.definition.spec import ModelBlock
from rllib_recattn.models.registry import find_model, model_names
from rllib_recattn.rl_module.recurrence import RecurrenceSettings


def check_model(block: Mapping[str, Any], where: str) -> ModelBlock:
    """Validate a model block.

    Args:
        block: ``name``, ``max_seq_len``, ``vf_share_layers`` and the model's own settings, side by side. A name
            ``package.module:name`` imports the module that registers the model.
        where: File and key path of the block.

    Returns:
        The block with the model's own settings apart.

    Raises:
        SettingsError: If the model is unknown or its module cannot be imported, or a setting is unknown or wrong.
    """
    if "name" not in block:
        raise SettingsError(f"{where}: the setting 'name' is missing; valid are: {', '.join(model_names())}")
    try:
        info = find_model(block["name"])
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
    settings = info.settings
    if ":" not in block["name"]:
        block = {**block, "name": info.name}  # as the catalog spells it
    if "weights" in block and "weights" not in settings.model_fields:
        raise SettingsError(
            f"{where}.weights = {shown(block['weights'])}: should be left out; beside the model block, restore: FOLDER "
            "begins with the weights of an exported agent"
        )
    # One schema for all that may stand side by side, so that a misspelt key finds its neighbours of both kinds.
    validate(create_model(settings.__name__, __base__=(settings, RecurrenceSettings), name=(str, ...)), block, where)
    own = {key: value for key, value in block.items() if key in settings.model_fields}
    return ModelBlock(settings=own, **{key: value for key, value in block.items() if key not in own})
