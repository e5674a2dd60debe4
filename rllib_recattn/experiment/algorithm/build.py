"""From an experiment to RLlib's config of its algorithm."""

from __future__ import annotations

from typing import Any

import gymnasium
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rllib_recattn.algorithms import ABILITIES
from rllib_recattn.experiment.algorithm.callbacks import add_callbacks, begin_with, seed_afresh
from rllib_recattn.experiment.algorithm.config_keys import apply_settings, check_settings
from rllib_recattn.experiment.algorithm.imports import MODULE_CLASS
from rllib_recattn.experiment.algorithm.offline import offline_settings, recording_settings
from rllib_recattn.experiment.algorithm.own_module import check_module, choose_module
from rllib_recattn.experiment.algorithm.policies import choose_models, choose_policies, models_of
from rllib_recattn.experiment.algorithm.rllib_errors import rllib_errors
from rllib_recattn.experiment.algorithm.rllib_model import check_model_config
from rllib_recattn.experiment.definition.env_probe import EnvProbe
from rllib_recattn.experiment.definition.environment import (
    find_env,
    is_vectorized_with,
    probe_env,
    rllib_env,
)
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.rl_module.algorithms import CONFIG_CLASSES, algorithm_of
from rllib_recattn.rl_module.extension import add_callback
from rllib_recattn.rl_module.faults import FAULT_TOLERANCE, survive_faults
from rllib_recattn.rl_module.fixes.offline_restore import OfflineRestoreCallback
from rllib_recattn.rl_module.fixes.recording import record_once
from rllib_recattn.rl_module.mending_recorder import survive_while_recording
from rllib_recattn.rl_module.observation_filter import check_filtered_space, filter_observations
from rllib_recattn.rl_module.recorded_data import check_recorded_data
from rllib_recattn.rl_module.use_model import report_success_rate
from rllib_recattn.scope import Scope


def build_config(experiment: Experiment) -> AlgorithmConfig:
    """Build the config of the algorithm that an experiment runs.

    The environment is vectorised by its own implementation if it has one that fits and the experiment does not
    choose otherwise, and every config reports the success rate.

    Args:
        experiment: What to run.

    Returns:
        The validated config.

    Raises:
        SettingsError: With a line for each setting that is wrong: file, key path, and what would be right.
    """
    if experiment.api_stack == "old":
        # A later Ray may no longer have what this imports.
        from rllib_recattn.experiment.algorithm.old_stack import build_old_config

        return build_old_config(experiment)
    config = CONFIG_CLASSES[experiment.run]()
    scope = Scope(experiment.where).at("config")
    settings = check_settings(config, experiment.config, scope)
    is_offline = not ABILITIES[experiment.run].samples
    if is_offline:
        settings = offline_settings(settings, scope)
    else:
        settings = recording_settings(settings, experiment.multi_agent is not None, scope)
    module_class, learner_class = settings.pop(MODULE_CLASS, None), settings.get("learner_class")
    is_filtered = settings.pop("observation_filter", None) == "MeanStdFilter"
    if is_filtered and is_offline:
        scope.at("observation_filter").problem("recorded episodes pass no filter; normalise them before recording")
    if learner_class is not None and models_of(experiment):
        with scope.collect():
            algorithm_of(config, experiment.run).choose_learner(learner_class, scope.where)
    if "model_config" in settings and module_class is None:  # a user's own reads what it likes
        settings["model_config"] = check_model_config(
            settings["model_config"], experiment.model is not None, scope.at("model_config")
        )
    scope.raise_problems()

    config.environment(rllib_env(experiment.env, experiment.config.get("env_config", {}), experiment.where))
    env_config = settings.get("env_config", {})
    if is_vectorized_with(find_env(experiment.env, experiment.where), env_config):
        settings = {"gym_env_vectorize_mode": "vector_entry_point", **settings}
    apply_settings(config, {**FAULT_TOLERANCE, **settings}, scope)
    scope.raise_problems()
    choose_policies(config, experiment.multi_agent)
    if is_filtered:
        filter_observations(config)
    probe = probe_env(experiment.env, config.env_config, scope.at("env_config").where)
    if is_offline and experiment.multi_agent is None:
        config.environment(observation_space=probe.observation_space, action_space=probe.action_space)
    choose_models(config, experiment)
    choose_module(config, module_class, experiment)
    report_success_rate(config)
    if not models_of(experiment):
        seed_afresh(config)
        record_once(config)
        add_callback(config, OfflineRestoreCallback)
    add_callbacks(config, experiment.callbacks, f"{experiment.where}.callbacks")
    begin_with(config, experiment.restore)
    survive_while_recording(survive_faults(config))
    with rllib_errors(scope.where):
        config.validate()
    with rllib_errors(f"{experiment.where}.env: {experiment.env}"):
        if is_filtered:
            check_filtered_space(probe.observation_space, scope.where)
        _check_networks(config, probe, scope, has_own_module=module_class is not None)
    if is_offline:
        check_recorded_data(config, (probe.observation_space, probe.action_space), scope.where)
    return config


def _check_networks(config: AlgorithmConfig, probe: EnvProbe, scope: Scope, has_own_module: bool) -> None:
    """Let the catalogs choose networks for the environment's spaces; they raise if there are none for them."""
    env = stand_in(probe)
    if has_own_module:
        check_module(config, env, scope.where)
        return
    for spec in config.get_multi_rl_module_spec(env=env).rl_module_specs.values():
        catalog_class = spec.catalog_class or PPOCatalog
        catalog_class(
            observation_space=spec.observation_space,
            action_space=spec.action_space,
            model_config_dict=spec.model_config,
        )


class _Agent(gymnasium.Env[Any, Any]):
    def __init__(self, probe: EnvProbe):
        self.observation_space: Any = probe.observation_space
        self.action_space: Any = probe.action_space


class _Agents(MultiAgentEnv):
    def __init__(self, probe: EnvProbe):
        self.observation_space: Any = probe.observation_space
        self.action_space: Any = probe.action_space
        self.agents = self.possible_agents = list(probe.spaces)
        known = {agent: spaces for agent, spaces in probe.spaces.items() if spaces is not None}
        self.observation_spaces: Any = {agent: observed for agent, (observed, _) in known.items()}
        self.action_spaces: Any = {agent: acted for agent, (_, acted) in known.items()}
        super().__init__()


def stand_in(probe: EnvProbe) -> Any:
    """Return an environment with the spaces, and the agents, that were found by a probe.

    Examples:
        >>> from gymnasium.spaces import Discrete
        >>> stand_in(EnvProbe(Discrete(3), Discrete(2))).action_space
        Discrete(2)
    """
    return _Agent(probe) if probe.agents is None else _Agents(probe)
