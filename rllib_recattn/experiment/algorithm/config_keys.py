"""RLlib's settings by name: which config method takes each, of which type, and within which bounds.

``AlgorithmConfig.update_from_dict`` takes misspelt names, old names and strings for numbers in silence. The methods do
not, so every setting is handed to the method that has it in its signature.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.utils.from_config import NotProvided

from rllib_recattn.errors import SettingsError, suggest_among_many
from rllib_recattn.experiment.algorithm.imports import IMPORTED, imported_setting
from rllib_recattn.experiment.algorithm.rllib_errors import rllib_errors
from rllib_recattn.experiment.algorithm.setting_types import can_be_written, describe, matches
from rllib_recattn.experiment.definition.search import meant_domain
from rllib_recattn.migration.old_files.api_stack import ApiStack
from rllib_recattn.scope import Scope

# RLlib's annotations are too narrow here: a schedule, several paths and fractions of a CPU are documented and work.
_ANNOTATIONS: dict[str, Any] = {
    "entropy_coeff": float | list[list[int | float]],
    "input_": str | list[str],
    "num_cpus_per_env_runner": float,
    "num_cpus_for_main_process": float,
}

_NULL_ALLOWED = {"minibatch_size"}  # besides those that are None by default

_CHOICES: dict[str, tuple[Any, ...]] = {
    "batch_mode": ("truncate_episodes", "complete_episodes"),
    "enable_env_runner_and_connector_v2": (True,),
    "enable_rl_module_and_learner": (True,),
    "evaluation_duration_unit": ("episodes", "timesteps"),
    "framework": ("torch",),
    "grad_clip_by": ("value", "norm", "global_norm"),
    "gym_env_vectorize_mode": ("sync", "async", "vector_entry_point"),
    "observation_filter": ("NoFilter", "MeanStdFilter"),
    "vtrace": (True,),
    "log_level": ("DEBUG", "INFO", "WARN", "ERROR"),
}

_WHY = {
    "framework": ", or left out; this package runs on PyTorch alone",
    "vtrace": ", or left out; IMPALA and APPO of the installed Ray work with V-trace alone",
}

LARGEST = 3.4e38
"""The largest number that float32 holds, in which everything is computed."""

MOST = 2**31 - 1
"""The highest whole number that a setting may be: far more than a machine holds of what they count."""

_BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("gamma", "lambda_"), (0, 1)),
    **dict.fromkeys(("clip_param", "grad_clip", "kl_coeff", "kl_target", "lr"), (0, math.inf)),
    **dict.fromkeys(("entropy_coeff", "vf_clip_param", "vf_loss_coeff"), (0, math.inf)),
    **dict.fromkeys(("evaluation_duration", "minibatch_size", "num_envs_per_env_runner"), (1, math.inf)),
    **dict.fromkeys(("num_epochs", "train_batch_size", "train_batch_size_per_learner"), (1, math.inf)),
    **dict.fromkeys(("broadcast_interval", "circular_buffer_iterations_per_batch"), (1, math.inf)),
    **dict.fromkeys(("circular_buffer_num_batches", "evaluation_interval"), (1, math.inf)),
    **dict.fromkeys(("metrics_num_episodes_for_smoothing", "output_max_rows_per_file"), (1, math.inf)),
    **dict.fromkeys(("target_network_update_freq", "max_num_env_runner_restarts"), (0, math.inf)),
    **dict.fromkeys(("min_sample_timesteps_per_iteration", "min_train_timesteps_per_iteration"), (0, math.inf)),
    **dict.fromkeys(("sample_timeout_s", "evaluation_sample_timeout_s", "min_time_s_per_iteration"), (0, math.inf)),
    **dict.fromkeys(("env_runner_health_probe_timeout_s", "env_runner_restore_timeout_s"), (0, math.inf)),
    **dict.fromkeys(("vtrace_clip_rho_threshold", "vtrace_clip_pg_rho_threshold"), (0, math.inf)),
    "tau": (0, 1),
    "seed": (0, MOST),
}

# Limits, of which infinity means that there is none.
_MAY_BE_INFINITE = ("grad_clip", "vf_clip_param", "vtrace_clip_pg_rho_threshold", "vtrace_clip_rho_threshold")

# Settings of the old API stack that the new one takes and ignores.
_WITHOUT_EFFECT = {
    "enable_tf1_exec_eagerly": "TensorFlow is not supported",
    "exploration_config": "exploration is the RLModule's own",
    "model": "the networks are those of 'config' itself; should be left out",
    "optimizer": "learners use Adam; write lr and grad_clip",
    "preprocessor_pref": "wrap the environment",
    "remote_env_batch_wait_ms": "write gym_env_vectorize_mode: async",
    "remote_worker_envs": "write gym_env_vectorize_mode: async",
}


# And the other way round.
_WITHOUT_EFFECT_ON_OLD_STACK = {
    **dict.fromkeys(IMPORTED, "it belongs to the new one"),
    "gym_env_vectorize_mode": "RLlib steps environments one after the other there",
    "model_config": "write 'model', or a 'model' block beside 'config'",
    "num_aggregator_actors_per_learner": "it belongs to the new one",
    "num_learners": "write num_gpus",
    "train_batch_size_per_learner": "write train_batch_size",
}
_OLD_STACK_CHOICES = {
    "enable_env_runner_and_connector_v2": (False,),
    "enable_rl_module_and_learner": (False,),
}

# Settings that take Python objects and have a block of plain data in their place.
BLOCKS = {
    "callbacks": "callbacks",
    "callbacks_class": "callbacks",
    "count_steps_by": "multi_agent",
    "multiagent": "multi_agent",
    "policies": "multi_agent",
    "policies_to_train": "multi_agent",
    "policy_mapping_fn": "multi_agent",
}


@dataclass(frozen=True)
class ConfigKey:
    """Where a setting goes and what it should be.

    Attributes:
        method: The name of the config method that takes it.
        annotation: The type that the method declares.
    """

    method: str
    annotation: Any


_KEYS: dict[type[AlgorithmConfig], Mapping[str, ConfigKey]] = {}


def config_keys(config_class: type[AlgorithmConfig]) -> Mapping[str, ConfigKey]:
    """List the settings that a config's methods take: their parameters that default to ``NotProvided``.

    Args:
        config_class: The config of an algorithm.

    Returns:
        A setting's name → where it goes.
    """
    if config_class in _KEYS:
        return _KEYS[config_class]
    keys: dict[str, ConfigKey] = {}
    for method, _ in inspect.getmembers(config_class, inspect.isfunction):
        for owner in config_class.__mro__:
            function = vars(owner).get(method)
            parameters = inspect.signature(function).parameters if inspect.isfunction(function) else {}
            for name, parameter in parameters.items():
                # A setting that has moved stands in two methods; the one that comes first is its present place.
                if parameter.default is NotProvided and name not in keys:
                    keys[name] = ConfigKey(method, _ANNOTATIONS.get(name, _declared_type(parameter)))
    _KEYS[config_class] = keys
    return keys


def check_settings(config: AlgorithmConfig, settings: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Check settings against names, types and bounds, those that override others in evaluation included.

    Args:
        config: The config that they are meant for, with its defaults.
        settings: A setting's name → its value, as plain data.
        scope: That of the settings; gets a problem for each that is wrong.

    Returns:
        The settings that are right. A whole number that was written as 1e4 is one.
    """
    keys = config_keys(type(config))
    right: dict[str, Any] = {}
    for name, value in settings.items():
        with scope.collect():
            if name in IMPORTED and scope.stack == "new":
                right[name] = None if value is None else imported_setting(name, value, f"{scope}.{name}")
                continue
            right[name] = _check_setting(config, keys, name, value, scope)
            if name == "evaluation_config" and value:
                right[name] = _check_overrides(config, value, scope.at(name))
            if name == "algorithm_config_overrides_per_module" and value:
                right[name] = {
                    module: _check_overrides(config, overrides, scope.at(name, module))
                    for module, overrides in value.items()
                }
    return {name: value for name, value in right.items() if name not in IMPORTED or value is not None}


def apply_settings(config: AlgorithmConfig, settings: Mapping[str, Any], scope: Scope) -> None:
    """Hand checked settings to the config methods that take them.

    Args:
        config: The config to change.
        settings: What :func:`check_settings` returned.
        scope: That of the settings; gets a problem for each refusal by RLlib.
    """
    keys = config_keys(type(config))
    by_method: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        by_method.setdefault(keys[name].method, {})[name] = value
    for method, arguments in by_method.items():
        with scope.collect(), rllib_errors(scope.where):
            getattr(config, method)(**arguments)


def without_effect(stack: ApiStack) -> Mapping[str, str]:
    """Return the settings that an API stack takes and ignores, and what to write instead."""
    return _WITHOUT_EFFECT if stack == "new" else _WITHOUT_EFFECT_ON_OLD_STACK


def may_be_null(config: AlgorithmConfig, name: str) -> bool:
    """Tell whether a setting may be null: if it is so by default, and a few others."""
    return name in _NULL_ALLOWED or getattr(config, name, None) is None


def allowed_values(name: str, stack: ApiStack | None = None) -> tuple[Any, ...]:
    """Return the values that a setting may have on an API stack, None: on either; empty: all of its type."""
    on_new, on_old = _CHOICES.get(name, ()), _OLD_STACK_CHOICES.get(name, _CHOICES.get(name, ()))
    if stack is None:
        return tuple(dict.fromkeys((*on_new, *on_old)))
    return on_new if stack == "new" else on_old


def bounds_of(name: str) -> tuple[float, float]:
    """Return the lowest and the highest number that a setting may be."""
    return _BOUNDS.get(name, (0, math.inf) if name.startswith("num_") else (-math.inf, math.inf))


def _numbers_in(value: Any) -> list[float]:
    """Return a number by itself, and the values of a schedule [[step, value], …]."""
    if isinstance(value, list) and value and all(isinstance(point, list) and len(point) == 2 for point in value):
        return [number for _, each in value for number in _numbers_in(each)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _declared_type(parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    return Any if annotation is parameter.empty or isinstance(annotation, str) else annotation


def _check_overrides(config: AlgorithmConfig, settings: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Check settings that hold for a part; what the whole pipeline consists of is the same for all."""
    whole = [name for name in settings if scope.stack == "new" and name in (*IMPORTED, "observation_filter")]
    for name in whole:
        scope.at(name).problem("belongs into 'config' itself, and holds for evaluation and all policies too")
    return check_settings(config, {name: value for name, value in settings.items() if name not in whole}, scope)


def _check_setting(config: AlgorithmConfig, keys: Mapping[str, ConfigKey], name: str, value: Any, scope: Scope) -> Any:
    where, stack = scope.where, scope.stack
    useless = without_effect(stack)
    if name in useless:
        raise SettingsError(f"{where}.{name} has no effect on RLlib's {stack} API stack: {useless[name]}")
    if name in BLOCKS:
        raise SettingsError(f"{where}.{name}: belongs one level up, into the {BLOCKS[name]!r} block beside 'config'")
    if name not in keys:
        methods = f"the parameters of {type(config).__name__}'s methods are valid, see RLlib's documentation"
        raise SettingsError(f"{where}: unknown setting {name!r}: {suggest_among_many(name, keys, methods)}")
    annotation = keys[name].annotation
    if not can_be_written(annotation):
        raise SettingsError(f"{where}.{name} takes Python objects, which YAML cannot express; set it from Python")
    null = may_be_null(config, name)
    if isinstance(value, float) and value.is_integer() and not matches(value, annotation):
        value = int(value)
    if value is None and null:
        return value
    if value is None or not matches(value, annotation):
        wanted = f"{describe(annotation, null)}{meant_domain(value)}"
        raise SettingsError(f"{where}: {name} = {value!r}: should be {wanted}")
    choices = allowed_values(name, stack)
    if choices and value not in choices:
        right = " or ".join(str(choice) for choice in choices).replace("True", "true").replace("False", "false")
        right += _WHY.get(name, "")
        raise SettingsError(f"{where}: {name} = {value!r}: should be {right}")
    low, high = bounds_of(name)
    if not matches(0.5, annotation):
        high = min(high, MOST)
    for number in _numbers_in(value):
        if name in _MAY_BE_INFINITE and number == math.inf:
            continue
        if not abs(number) <= LARGEST:
            raise SettingsError(f"{where}: {name} = {value!r}: should be finite, also in float32")
        if not low <= number <= high:
            limits = f"between {low} and {high}"
            if high in (math.inf, MOST):
                limits = f"at least {low}" if number < low else f"at most {high}"
            raise SettingsError(f"{where}: {name} = {value!r}: should be {limits}")
    return value
