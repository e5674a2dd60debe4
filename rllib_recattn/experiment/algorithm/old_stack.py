"""Models on RLlib's old API stack: its ``model`` dict, and this package's models in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.models import MODEL_DEFAULTS, ModelCatalog

from rllib_recattn.errors import SettingsError, suggest
from rllib_recattn.experiment.algorithm.callbacks import add_callbacks, begin_with, seed_afresh
from rllib_recattn.experiment.algorithm.config_keys import apply_settings, check_settings
from rllib_recattn.experiment.algorithm.policies import choose_policies, models_of
from rllib_recattn.experiment.algorithm.rllib_errors import rllib_errors
from rllib_recattn.experiment.definition.environment import probe_env, rllib_env
from rllib_recattn.experiment.definition.spec import Experiment, ModelBlock
from rllib_recattn.importing import import_named
from rllib_recattn.migration.model_dict.checks import without_ignored, wrong_settings
from rllib_recattn.model_v2 import check_old_stack, register_model_v2
from rllib_recattn.model_v2.metrics import OldStackSuccessRateCallback
from rllib_recattn.model_v2.settings import PREFIX, ModelV2Settings, split_custom_model_config
from rllib_recattn.models.registry import model_settings
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES
from rllib_recattn.rl_module.recurrence import RecurrenceSettings
from rllib_recattn.scope import Scope

CLASS_PATH = "rllib_recattn.model_v2.RecAttnModelV2"


def build_old_config(experiment: Experiment) -> AlgorithmConfig:
    """Build the config of the algorithm that an experiment runs on the old API stack.

    Raises:
        SettingsError: With a line for each setting that is wrong; or if the installed Ray has no old API stack.
    """
    config = CONFIG_CLASSES[experiment.run]()
    scope = Scope(experiment.where, "old").at("config")
    _choose_old_stack(config, experiment.where)
    settings = check_settings(config, experiment.config, scope)
    if "model" in settings:
        settings["model"] = without_ignored(settings["model"])
        if experiment.model is not None:
            scope.at("model").problem("is given twice, beside 'config' as well; keep one of them")
        _check_model_dict(settings["model"], scope.at("model"))
    scope.raise_problems()
    config.environment(rllib_env(experiment.env, experiment.config.get("env_config", {}), experiment.where))
    apply_settings(config, settings, scope)
    scope.raise_problems()
    choose_policies(config, experiment.multi_agent)
    if experiment.model is not None:
        config.training(model=_model_dict(experiment.model, experiment.where))
    _choose_policy_models(config, experiment)
    if any(model.action_mask is not None for model in models_of(experiment).values()):
        config.environment(disable_env_checking=True)  # RLlib's check takes any action of the space
    config.callbacks(OldStackSuccessRateCallback)
    seed_afresh(config)
    add_callbacks(config, experiment.callbacks, f"{experiment.where}.callbacks")
    begin_with(config, experiment.restore)
    if str(config.model.get("custom_model")).startswith(PREFIX):
        register_model_v2()  # before RLlib looks a name up
    with rllib_errors(scope.where):
        config.validate()
    _check_old_model(config, experiment)
    return config


def default_old_config(config: AlgorithmConfig) -> AlgorithmConfig:
    """Return the defaults of a config's algorithm on the old API stack, on CPUs."""
    default = type(config)()
    _choose_old_stack(default, "")
    return default


def _choose_old_stack(config: AlgorithmConfig, where: str) -> None:
    """Put a config on the old API stack, on CPUs unless it says otherwise.

    Raises:
        SettingsError: If the installed Ray has none any more.
    """
    check_old_stack(where)
    config.api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False)
    config.resources(num_gpus=0)  # IMPALA's and APPO's default is 1


def _check_model_dict(model: Mapping[str, Any], scope: Scope) -> None:
    """Check the ``model`` dict of RLlib's old API stack.

    Args:
        model: The dict, as plain data.
        scope: That of the dict; gets a problem for each setting that is wrong.
    """
    scope.take(wrong_settings(model, MODEL_DEFAULTS, scope.where))
    previous = [key for key in ("lstm_use_prev_action", "lstm_use_prev_reward") if model.get(key)]
    if model.get("use_lstm") and previous:
        scope.at(previous[0]).problem(
            f"RLlib's LSTM of the old API stack fails with it (recurrent_net.py hands NumPy's "
            f"integers to PyTorch); should be custom_model: {PREFIX}lstm with custom_model_config: "
            f"{{{previous[0].removeprefix('lstm_')}: true}}, or what `rllib convert` makes of the file"
        )
    for key in ("attention_use_n_prev_actions", "attention_use_n_prev_rewards"):
        if model.get("use_attention") and model.get(key) == 1:
            scope.wrong(
                key,
                1,
                "RLlib's attention net of the old API stack fails with it (attention_net.py: views "
                "of one step have no time axis); should be 0, or 2 or more, or what `rllib convert` makes of the file",
            )
    with scope.collect():
        _check_custom_model(model, scope.where)


def _model_dict(block: ModelBlock, where: str) -> dict[str, Any]:
    """Return the ``model`` dict for one of this package's models.

    Args:
        block: The experiment's ``model`` block.
        where: File and key path of the experiment.

    Raises:
        SettingsError: If the block has settings that the old API stack has no use for.
    """
    shared = set(ModelV2Settings.model_fields) - {"rllib_fixes"} | {"max_seq_len"}
    for key in set(RecurrenceSettings.model_fields) - shared:
        if key in block.model_fields_set and getattr(block, key) != RecurrenceSettings.model_fields[key].default:
            raise SettingsError(f"{where}.model.{key}: has no effect on RLlib's old API stack; should be left out")
    inputs = block.model_dump(include=set(ModelV2Settings.model_fields) - {"rllib_fixes"})
    settings = model_settings(block.name, block.settings).model_dump()  # a checkpoint holds nothing of defaults
    return {
        "custom_model": CLASS_PATH,
        "custom_model_config": {"model": block.name, **inputs, **settings},
        "max_seq_len": block.max_seq_len,
    }


def _choose_policy_models(config: AlgorithmConfig, experiment: Experiment) -> None:
    """Give the policies of an experiment the models of their own.

    Raises:
        SettingsError: If a model has settings that the old API stack has no use for.
    """
    if experiment.multi_agent is None:
        return
    for policy, block in experiment.multi_agent.policies.items():
        if block is not None:
            model = _model_dict(block, f"{experiment.where}.multi_agent.policies.{policy}")
            config.policies[policy].config = {"model": model}


def _check_old_model(config: AlgorithmConfig, experiment: Experiment) -> None:
    """Let RLlib build the model for the environment's spaces; it raises if there is none for them."""
    spaces = probe_env(experiment.env, config.env_config, experiment.where)
    if not isinstance(spaces.observation_space, gymnasium.Space) or config.is_multi_agent:
        return
    with rllib_errors(f"{experiment.where}.config.model"):
        preprocessor = ModelCatalog.get_preprocessor_for_space(spaces.observation_space, config.model)
        _, num_outputs = ModelCatalog.get_action_dist(spaces.action_space, config.model, framework="torch")
        ModelCatalog.get_model_v2(
            preprocessor.observation_space, spaces.action_space, num_outputs, config.model, framework="torch"
        )


def _check_custom_model(model: Mapping[str, Any], where: str) -> None:
    custom = model.get("custom_model")
    if custom is None:
        return
    own = model.get("custom_model_config") or {}
    if custom == CLASS_PATH:
        split_custom_model_config(own, None, f"{where}.custom_model_config")
    elif isinstance(custom, str) and custom.startswith(PREFIX):
        names = register_model_v2()
        if custom not in names:
            raise SettingsError(f"{where}: custom_model = {custom!r}: unknown: {suggest(custom, names)}")
        split_custom_model_config(own, custom.removeprefix(PREFIX), f"{where}.custom_model_config")
    elif isinstance(custom, str) and "." in custom:
        module, _, name = custom.rpartition(".")
        if not hasattr(import_named(module, f"{where}: custom_model = {custom!r}"), name):
            raise SettingsError(f"{where}: custom_model = {custom!r}: the module {module!r} has no {name!r}")
    else:
        raise SettingsError(
            f"{where}: custom_model = {custom!r}: should be {PREFIX}agalite or another of `rllib models`, or the path "
            "of a class, package.module.Class; a name that a script registers is not known here"
        )
