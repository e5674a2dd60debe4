"""The config of the other API stack for the same environment, the same algorithm and the same agents."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, get_args

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.models.catalog import MODEL_DEFAULTS
from ray.rllib.policy.policy import PolicySpec
from ray.rllib.policy.sample_batch import DEFAULT_POLICY_ID
from ray.rllib.utils import force_list

from rllib_recattn.errors import SettingsError
from rllib_recattn.migration.checkpoints.agent import Agent
from rllib_recattn.model_v2.metrics import OldStackSuccessRateCallback
from rllib_recattn.rl_module.rllib_internals.configs import Pipeline, connector_function, set_connector_function
from rllib_recattn.rl_module.sparse_states.connectors import keep_states_in_columns
from rllib_recattn.rl_module.use_model import use_model

_WHERE = "convert_checkpoint: the checkpoint's config"
_ADVICE = "pass the other stack's config as config=…"


def is_on_new_stack(config: AlgorithmConfig) -> bool:
    """Whether a config chooses RLlib's new API stack."""
    return bool(config.enable_rl_module_and_learner)


def on_new_stack(config: AlgorithmConfig, agents: Mapping[str, Agent]) -> AlgorithmConfig:
    """Return what an old-stack config becomes on the new API stack.

    Args:
        config: The config; left as it is.
        agents: A policy's id → its networks.

    Raises:
        SettingsError: If it says something that cannot be carried.
    """
    if config.observation_filter != "NoFilter":
        raise SettingsError(
            f"{_WHERE}: observation_filter = {config.observation_filter!r}: the new API stack filters observations in "
            f"a connector, whose statistics cannot be converted; {_ADVICE}, if the agent can do without"
        )
    new = _without_model(config).api_stack(enable_rl_module_and_learner=True, enable_env_runner_and_connector_v2=True)
    new.lr, new.lr_schedule = _schedule(config.lr, config.lr_schedule), None
    new.entropy_coeff = _schedule(config.entropy_coeff, config.entropy_coeff_schedule)
    new.entropy_coeff_schedule = None
    if config.num_gpus:
        new.resources(num_gpus=0).learners(num_gpus_per_learner=config.num_gpus)
    new.policies = _policies(config)
    if not config.is_multi_agent:
        (agent,) = agents.values()
        if agent.free_log_std:
            new.rl_module(model_config={"free_log_std": True})
        return use_model(new, **agent.use_model_arguments())
    heads = {
        policy: RLModuleSpec(model_config={"free_log_std": True}) for policy in agents if agents[policy].free_log_std
    }
    if heads:
        new.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=heads))
    for policy, agent in agents.items():
        use_model(new, **agent.use_model_arguments(), policies=[policy])
    return new


def on_old_stack(config: AlgorithmConfig, agents: Mapping[str, Agent]) -> AlgorithmConfig:
    """Return what a new-stack config becomes on the old API stack; see :func:`on_new_stack`."""
    old = _without_model(config).api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False)
    if config.algorithm_config_overrides_per_module:
        raise SettingsError(f"{_WHERE}: algorithm_config_overrides_per_module cannot be converted; {_ADVICE}")
    old.lr, old.lr_schedule = _first_value(config.lr)
    old.entropy_coeff, old.entropy_coeff_schedule = _first_value(config.entropy_coeff)
    old.training(train_batch_size=config.total_train_batch_size)
    old.train_batch_size_per_learner = None
    if isinstance(old, PPOConfig) and old.minibatch_size is None:
        old.training(minibatch_size=old.train_batch_size)
    old.resources(num_gpus=config.num_gpus_per_learner).learners(num_learners=0, num_gpus_per_learner=0)
    if old.callbacks_class is RLlibCallback:
        old.callbacks(OldStackSuccessRateCallback)
    old.policies = _policies(config)
    if not config.is_multi_agent:
        (agent,) = agents.values()
        return old.training(model=agent.model_dict())
    for policy, agent in agents.items():
        old.policies[policy].config = {"model": agent.model_dict()}
    return old


def _without_model(config: AlgorithmConfig) -> AlgorithmConfig:
    """Return a copy from which all is gone that belongs to the models of one stack.

    Raises:
        SettingsError: If connectors of the user's own change what a model sees or does.
    """
    bare = keep_states_in_columns(config.copy(copy_frozen=False))
    for pipeline in get_args(Pipeline):
        function = connector_function(bare, pipeline)
        # What use_model puts there knows the user's function.
        if getattr(function, "user_function", function) is not None:
            raise SettingsError(f"{_WHERE}: {pipeline} has no counterpart in the old API stack; {_ADVICE}")
        set_connector_function(bare, pipeline, None)
    callbacks = [each for each in force_list(bare.callbacks_class) if not each.__module__.startswith("rllib_recattn.")]
    if len(callbacks) > 1:
        names = ", ".join(callback.__name__ for callback in callbacks)
        raise SettingsError(f"{_WHERE}: callbacks_class = [{names}]: the old API stack takes one class; {_ADVICE}")
    bare.callbacks_class = callbacks[0] if callbacks else RLlibCallback
    bare.model = copy.deepcopy(MODEL_DEFAULTS)
    return bare.rl_module(rl_module_spec=None, model_config={}).learners(learner_class=None)


def _policies(config: AlgorithmConfig) -> dict[str, PolicySpec]:
    """Return the specs of the policies, with the spaces that the user gave them and nothing else.

    Raises:
        SettingsError: If a policy has settings of its own, besides its model's.
    """
    specs = {}
    given = config.policies if isinstance(config.policies, Mapping) else dict.fromkeys(config.policies)
    for policy, spec in given.items():
        spec = PolicySpec(*spec) if isinstance(spec, tuple | list) else spec or PolicySpec()
        own = spec.config if isinstance(spec.config, Mapping) else {}
        others = sorted(own.keys() - {"model"})
        if others:
            raise SettingsError(
                f"{_WHERE}: the policy {policy!r} has its own {', '.join(others)}, which cannot be converted; {_ADVICE}"
            )
        specs[policy] = PolicySpec(observation_space=spec.observation_space, action_space=spec.action_space)
    return specs or {DEFAULT_POLICY_ID: PolicySpec()}


def _schedule(value: Any, schedule: Any) -> Any:
    """Return what the new stack calls a coefficient: a number, or a schedule, which begins at step 0."""
    if schedule is None:
        return value
    points = [list(point) for point in schedule]
    return points if points[0][0] == 0 else [[0, points[0][1]], *points]


def _first_value(coefficient: Any) -> tuple[float, Any]:
    """Return a coefficient of the new stack as the old one's number and schedule."""
    if isinstance(coefficient, list | tuple):
        return coefficient[0][1], coefficient
    return coefficient, None
