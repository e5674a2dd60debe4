"""The JSON Schema of experiment files, for editors and other tools, from what the loader itself checks by.

It knows names, types and bounds. What depends on one another, such as the settings of an environment or a stop
criterion that only comes with evaluation, is left to ``rllib validate``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import create_model

from rllib_recattn.experiment.algorithm.config_schema import CONFIG, config_definitions, other_algorithms_keys
from rllib_recattn.experiment.algorithm.json_schema import (
    ANYTHING,
    NUMBER,
    SEARCH,
    Schema,
    any_of,
    block,
    nullable,
    of_settings,
    old_names,
    ref,
    search_schema,
    searchable,
)
from rllib_recattn.experiment.definition.logging_block import LoggingBlock
from rllib_recattn.experiment.definition.multi_agent import MultiAgentFile, PolicyFile
from rllib_recattn.experiment.definition.schedulers import SCHEDULER_ALIASES, SCHEDULERS
from rllib_recattn.experiment.definition.searchers import SEARCHER_ALIASES, SEARCHERS
from rllib_recattn.experiment.definition.spec import CheckpointBlock
from rllib_recattn.experiment.definition.stop import bounds_of, metrics_of
from rllib_recattn.experiment.definition.top_level import ExperimentFile
from rllib_recattn.experiment.definition.tune_block import TuneBlock
from rllib_recattn.inputs.input_settings import ENCODERS
from rllib_recattn.migration.old_files import gone_names
from rllib_recattn.migration.old_files import old_names as names
from rllib_recattn.models.registry import model_names, settings_of
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES
from rllib_recattn.rl_module.recurrence import RecurrenceSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OWN_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:.+$"


def experiment_schema() -> Schema:
    """Return the schema, as plain data that can be written as JSON."""
    definitions: dict[str, Schema] = {SEARCH: search_schema()}
    definitions |= config_definitions(CONFIG_CLASSES)
    definitions |= _model_definitions()
    definitions["stop"] = _stop()
    definitions["checkpoint"] = _with_old_names(
        of_settings(CheckpointBlock, definitions), "checkpoint", names.CHECKPOINT
    )
    definitions["tune"] = _tune(definitions)
    definitions["logging"] = of_settings(LoggingBlock, definitions)
    definitions["multi_agent"] = _multi_agent(definitions)
    definitions["experiment"] = _experiment(definitions)
    return {
        "$schema": DIALECT,
        "title": "An experiment of rllib_recattn",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": ref("experiment"),
        "$defs": dict(sorted(definitions.items())),
    }


def _experiment(definitions: Mapping[str, Schema]) -> Schema:
    schema = of_settings(ExperimentFile, {})
    properties = {name: nullable(each) for name, each in schema["properties"].items()}
    properties["run"] = {"enum": list(CONFIG_CLASSES)}
    properties["env"] = searchable({"type": "string"})
    properties |= {name: nullable(ref(name)) for name in ("stop", "checkpoint", "tune", "logging", "multi_agent")}
    properties |= {name: searchable(nullable(ref(name))) for name in ("model", CONFIG)}
    for name in definitions["tune"]["properties"]:
        properties.setdefault(name, ref("tune", "properties", name))
    for name in names.CHECKPOINT:
        properties.setdefault(name, {**ref("checkpoint", "properties", name), "deprecated": True})
    properties |= old_names(names.TOP_LEVEL.items(), ("experiment", "properties"), properties)
    properties |= {name: {"deprecated": True} for name in gone_names.TOP_LEVEL if name not in properties}
    per_algorithm = [
        {
            "if": {"properties": {"run": {"const": run}}},
            "then": {"properties": {CONFIG: {"properties": dict.fromkeys(others, False)}}},
        }
        for run, others in other_algorithms_keys(CONFIG_CLASSES).items()
        if others
    ]
    return block(properties, required=["run", "env"], allOf=per_algorithm)


def _model_definitions() -> dict[str, Schema]:
    """Return ``model``, what all models share, and a definition for each model."""
    definitions: dict[str, Schema] = {}
    recurrence = of_settings(RecurrenceSettings, definitions)["properties"]
    recurrence["encoder"] = _encoder()
    definitions["recurrence"] = {"properties": {name: searchable(each) for name, each in recurrence.items()}}
    shared = {name: ref("recurrence", "properties", name) for name in recurrence}
    names = model_names()
    by_name = []
    for name in names:
        own = of_settings(create_model(name, __base__=settings_of(name)), definitions)["properties"]
        own = {key: searchable(each) for key, each in own.items()}
        definitions[f"model-{name}"] = block({"name": ANYTHING, **own, **shared})
        by_name.append(
            {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": ref(f"model-{name}")}
        )
    definitions["model"] = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": any_of({"enum": names}, {"type": "string", "pattern": _OWN_PATH}, ref(SEARCH))},
        "allOf": by_name,
    }
    return definitions


def _encoder() -> Schema:
    own = {"type": "string", "pattern": _OWN_PATH}
    by_name = []
    for name, settings in ENCODERS.items():
        properties = of_settings(settings, {})["properties"]
        by_name.append(block({**properties, "type": {"const": name}}, required=["type"]))
    by_name.append(block({"type": own, "settings": {"type": "object"}}, required=["type"]))
    return any_of({"enum": list(ENCODERS)}, own, *by_name)


def _stop() -> Schema:
    metrics = sorted({*metrics_of("new"), *metrics_of("old")})
    of_policies = {*metrics_of("new", ["POLICY"], ["AGENT"]), *metrics_of("old", ["POLICY"], ["AGENT"])} - {*metrics}
    patterns = {re.sub("POLICY|AGENT", "[^/]+", metric) for metric in of_policies}
    properties: dict[str, Schema] = {metric: _reachable(metric) for metric in metrics}
    for translated in (names.STOP, names.OLD_STACK_STOP):
        for old, new in translated.items():
            if old not in properties:
                properties[old] = {**_reachable(new), "deprecated": True, "description": f"is called {new} now"}
    return block(properties, patternProperties={f"^{pattern}$": _reachable(pattern) for pattern in sorted(patterns)})


def _reachable(metric: str) -> Schema:
    low, high = bounds_of(metric)
    limits = {"exclusiveMinimum": low, "maximum": high}
    return {**NUMBER, **{word: limit for word, limit in limits.items() if math.isfinite(limit)}}


def _with_old_names(schema: Schema, name: str, translated: Mapping[str, str]) -> Schema:
    properties = schema["properties"]
    return block({**properties, **old_names(translated.items(), (name, "properties"), properties)})


def _tune(definitions: dict[str, Schema]) -> Schema:
    properties = dict(of_settings(TuneBlock, {})["properties"])
    properties["scheduler"] = _named(SCHEDULERS, SCHEDULER_ALIASES, definitions)
    properties["search_alg"] = _named(SEARCHERS, SEARCHER_ALIASES, definitions)
    return block(properties)


def _named(kinds: Mapping[str, Any], aliases: Mapping[str, str], definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a name, or of a name with arguments."""
    by_name: dict[str, Schema] = {}
    for name, settings in kinds.items():
        arguments = of_settings(settings, definitions)["properties"]
        by_name[name] = nullable(block({key: each for key, each in arguments.items() if key != "name"}))
    by_name |= {alias: by_name[name] for alias, name in aliases.items()}
    return any_of({"enum": list(by_name)}, block(by_name, minProperties=1, maxProperties=1))


def _multi_agent(definitions: dict[str, Schema]) -> Schema:
    schema = of_settings(MultiAgentFile, definitions)
    policy = of_settings(PolicyFile, definitions)
    policy["properties"]["model"] = nullable(ref("model"))
    names_only = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    by_name = {"type": "object", "minProperties": 1, "additionalProperties": nullable(policy)}
    return {**schema, "properties": {**schema["properties"], "policies": any_of(names_only, by_name)}}
