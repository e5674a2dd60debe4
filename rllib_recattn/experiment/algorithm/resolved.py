"""The resolved experiment: everything it will use, defaults included, as YAML that describes the same experiment."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.experiment.algorithm.config_keys import config_keys, without_effect
from rllib_recattn.experiment.algorithm.setting_types import can_be_written, matches
from rllib_recattn.experiment.definition.spec import Experiment, ModelBlock, MultiAgentBlock
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.migration.old_files.api_stack import ApiStack
from rllib_recattn.model_v2.settings import ModelV2Settings
from rllib_recattn.models.registry import settings_of
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY
from rllib_recattn.rl_module.recurrence import RecurrenceSettings, split_model_config

_WRITTEN_ELSEWHERE = ("env", "model_config", "policies", "policies_to_train", "count_steps_by")


def resolved_yaml(experiment: Experiment, config: AlgorithmConfig) -> str:
    """Write an experiment out, see `resolved_content`, as YAML of the form of an experiment file."""
    return dump_yaml({experiment.name: resolved_content(experiment, config)})


def resolved_content(experiment: Experiment, config: AlgorithmConfig) -> dict[str, Any]:
    """Return all that an experiment will use as plain data.

    Args:
        experiment: The experiment.
        config: The config that was built from it.

    Returns:
        The content of an experiment file, with all settings of the model, and with those of RLlib's settings that
        the experiment gives or that differ from the algorithm's defaults.
    """
    is_new = experiment.api_stack == "new"
    model_config = dict(config.model_config) if is_new else {}
    content: dict[str, Any] = {
        "run": experiment.run,
        **({} if is_new else {"api_stack": "old"}),
        "env": experiment.env,
        "stop": {metric: _short(value) for metric, value in experiment.stop.items()},
    }
    several = experiment.multi_agent is not None
    if several:
        model_config = dict(experiment.config.get("model_config", {}))
    if experiment.model is not None and (several or not is_new):
        content["model"] = _model_block(experiment.model, experiment.api_stack)
    elif experiment.model is not None:
        recurrence, model_config = split_model_config(model_config)
        settings = dict(model_config.pop(MODEL_CONFIG_KEY))
        content["model"] = {"name": settings.pop("model"), **recurrence, **settings}
    content["config"] = _changed_settings(experiment, config)
    if model_config:
        content["config"]["model_config"] = model_config
    if experiment.multi_agent is not None:
        content["multi_agent"] = _multi_agent_block(experiment.multi_agent, experiment.api_stack)
    if experiment.callbacks:
        content["callbacks"] = [{entry.path: entry.arguments} for entry in experiment.callbacks]
    if experiment.restore is not None:
        content["restore"] = str(experiment.restore)
    content["checkpoint"] = experiment.checkpoint.model_dump()
    content["logging"] = experiment.logging.model_dump(exclude_none=True)
    content["storage_path"] = str(experiment.storage_path)
    content["max_failures"] = experiment.max_failures
    return content


def _changed_settings(experiment: Experiment, config: AlgorithmConfig) -> dict[str, Any]:
    default = type(config)()
    has_dict = False
    if experiment.api_stack == "old":
        # A later Ray may no longer have what this imports.
        from rllib_recattn.experiment.algorithm.old_stack import default_old_config

        default = default_old_config(config)
        has_dict = experiment.model is None
    # Reading some of a config's properties changes it.
    config = config.copy(copy_frozen=False)
    changed = {name: value for name, value in experiment.config.items() if name not in _WRITTEN_ELSEWHERE}
    elsewhere = {*_WRITTEN_ELSEWHERE, *without_effect(experiment.api_stack), "model"}
    for name, key in config_keys(type(config)).items():
        value = getattr(config, name, None)
        is_changed = name in changed or value != getattr(default, name, None)
        if name == "model" and has_dict and config.model != default.model:
            changed[name] = {key: value for key, value in config.model.items() if value != default.model.get(key)}
        elif name not in elsewhere and is_changed and _is_plain(value, key.annotation):
            changed[name] = value
    return changed


def _model_block(model: ModelBlock, stack: ApiStack) -> dict[str, Any]:
    shared = set(RecurrenceSettings.model_fields)
    if stack == "old":
        shared = {*ModelV2Settings.model_fields, "max_seq_len"} - {"rllib_fixes"}
    settings = settings_of(model.name).model_validate(model.settings).model_dump()
    return {"name": model.name, **model.model_dump(include=shared), **settings}


def _multi_agent_block(block: MultiAgentBlock, stack: ApiStack) -> dict[str, Any]:
    content = block.model_dump(exclude_none=True)
    content["policies"] = {
        name: {} if model is None else {"model": _model_block(model, stack)} for name, model in block.policies.items()
    }
    if block.policies_to_train is not None:
        content["policies_to_train"] = list(block.policies_to_train)
    return content


def _is_plain(value: Any, annotation: Any) -> bool:
    return value is not None and can_be_written(annotation) and matches(value, annotation)


def _short(value: float) -> float:
    return int(value) if value.is_integer() else value
