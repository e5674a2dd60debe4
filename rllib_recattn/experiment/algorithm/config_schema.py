"""JSON Schema of ``config``: RLlib's settings by name, with the types and bounds that are checked before training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_type_hints

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.models import MODEL_DEFAULTS

from rllib_recattn.experiment.algorithm.config_keys import (
    BLOCKS,
    MOST,
    ConfigKey,
    allowed_values,
    bounds_of,
    config_keys,
    may_be_null,
)
from rllib_recattn.experiment.algorithm.imports import CLASSES, IMPORTED
from rllib_recattn.experiment.algorithm.json_schema import (
    ANYTHING,
    NULL,
    Schema,
    any_of,
    block,
    not_null,
    nullable,
    of_type,
    old_names,
    ref,
    searchable,
)
from rllib_recattn.experiment.algorithm.setting_types import can_be_written
from rllib_recattn.importing import IMPORT_PATH
from rllib_recattn.migration.old_files import gone_names
from rllib_recattn.migration.old_files import old_names as names

CONFIG = "config"

_NESTED: dict[str, Schema] = {
    "evaluation_config": ref(CONFIG),
    "algorithm_config_overrides_per_module": {"type": "object", "additionalProperties": ref(CONFIG)},
    "model_config": ref("model_config"),
    "model": ref("old_model"),
    "env_config": {"type": "object"},
}


def config_definitions(config_classes: Mapping[str, type[AlgorithmConfig]]) -> dict[str, Schema]:
    """Return the definitions that ``config`` refers to, itself among them.

    Args:
        config_classes: An algorithm's name → the class of its configs. The schema allows what any of them takes; see
            :func:`other_algorithms_keys`.
    """
    properties: dict[str, Schema] = {}
    for config_class in config_classes.values():
        config = config_class()
        for name, key in _writable(config_class).items():
            properties[name] = _either(properties.get(name), _setting(config, name, key))
    properties["model"] = searchable(nullable(_NESTED["model"]))
    properties |= {name: searchable(nullable(_imported(name))) for name in IMPORTED}
    properties = dict(sorted(properties.items()))
    properties |= old_names(names.CONFIG.items(), (CONFIG, "properties"), properties)
    for name, gone in gone_names.all_gone().items():
        harmless = [value for value in gone.harmless or () if value is not None and not isinstance(value, bool)]
        if name not in properties:
            properties[name] = {"deprecated": True}
        elif harmless:
            properties[name] = any_of(*properties[name].get("anyOf", [properties[name]]), {"enum": harmless})
    properties |= {name: nullable(properties.get(name, NULL)) for name in gone_names.NOTHING_IF_NULL}
    return {
        CONFIG: block(properties),
        "model_config": block({name: searchable(of_type(kind)) for name, kind in _model_config_types().items()}),
        "old_model": block({name: searchable(_like(default)) for name, default in MODEL_DEFAULTS.items()}),
    }


def other_algorithms_keys(config_classes: Mapping[str, type[AlgorithmConfig]]) -> dict[str, list[str]]:
    """Return, for each algorithm, the settings that only others have."""
    keys = {run: set(_writable(config_class)) for run, config_class in config_classes.items()}
    everything = set().union(*keys.values())
    return {run: sorted(everything - own - {"model", *IMPORTED}) for run, own in keys.items()}


def _writable(config_class: type[AlgorithmConfig]) -> dict[str, ConfigKey]:
    """Return the settings that a file can hold."""
    keys = config_keys(config_class)
    return {name: key for name, key in keys.items() if can_be_written(key.annotation) and name not in BLOCKS}


def _setting(config: AlgorithmConfig, name: str, key: ConfigKey) -> Schema:
    schema = _NESTED.get(name) or _bounded(name, of_type(key.annotation))
    values = allowed_values(name)
    if values:
        schema = {"enum": list(values)}
    # RLlib declares None for some settings that it cannot do without.
    return searchable(nullable(schema) if may_be_null(config, name) else not_null(schema))


def _either(one: Schema | None, other: Schema) -> Schema:
    """Return the schema of a setting that algorithms take differently, as IMPALA's and DQN's `epsilon`."""
    if one is None or one == other:
        return other
    return any_of(*one.get("anyOf", [one]), *other.get("anyOf", [other]))


def _imported(name: str) -> Schema:
    """Return the schema of what is named by import path."""
    path: Schema = {"type": "string", "pattern": IMPORT_PATH}
    if name in CLASSES:
        return path
    entry = any_of(
        path,
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": path,
            "additionalProperties": nullable({"type": "object"}),
        },
    )
    return any_of(*entry["anyOf"], {"type": "array", "items": entry})


def _bounded(name: str, schema: Schema) -> Schema:
    """Add bounds to the numbers that a schema allows."""
    if "anyOf" in schema:
        return {"anyOf": [_bounded(name, member) for member in schema["anyOf"]]}
    if schema.get("type") not in ("number", "integer"):
        return schema
    low, high = bounds_of(name)
    if schema["type"] == "integer":
        high = min(high, MOST)
    limits = {"minimum": low, "maximum": high}
    return {**schema, **{word: limit for word, limit in limits.items() if math.isfinite(limit)}}


def _model_config_types() -> dict[str, Any]:
    types = get_type_hints(DefaultModelConfig)
    return {name: kind for name, kind in sorted(types.items()) if can_be_written(kind)}


def _like(default: Any) -> Schema:
    """Return the schema of values of a default's type, as the old API stack's ``model`` dict is checked."""
    if default is None or isinstance(default, dict):
        return ANYTHING
    return nullable(of_type(type(default)))
