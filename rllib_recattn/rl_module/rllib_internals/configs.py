"""What of a config has no public counterpart: what a user has set, without RLlib's defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from rllib_recattn.private_names import import_private, private

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)
Pipeline = Literal["env_to_module_connector", "module_to_env_connector", "learner_connector"]


def given_spec(config: AlgorithmConfig) -> Any:
    """Return the RLModule spec that a user has set, or None; the public ``rl_module_spec`` mixes it with defaults."""
    return private(config, "_rl_module_spec", "to keep what config.rl_module(rl_module_spec=…) was told")


def given_model_config(config: AlgorithmConfig) -> Any:
    """Return the ``model_config`` that a user has set; the public one has what RLlib adds by itself as well."""
    return private(config, "_model_config", "to keep what config.rl_module(model_config=…) was told")


def connector_function(config: AlgorithmConfig, pipeline: Pipeline) -> Any:
    """Return the function that makes a user's connector pieces, or None; no public name tells it."""
    return private(config, f"_{pipeline}", f"to keep the user's {pipeline}")


def set_connector_function(config: ConfigT, pipeline: Pipeline, function: Callable[..., Any] | None) -> ConfigT:
    """Set the function that makes connector pieces, by RLlib's public methods; returns the config."""
    if pipeline == "learner_connector":
        config.learners(learner_connector=function)
    else:
        config.env_runners(**{pipeline: function})
    return config


def registered_env(name: str) -> Callable[..., Any] | None:
    """Return what makes the environment of that name, if ``register_env`` of Tune was told; nothing public tells."""
    why = "to find environments by the names that they were registered by"
    registry = import_private("ray.tune.registry", "_global_registry", why)
    kind = import_private("ray.tune.registry", "ENV_CREATOR", why)
    return registry.get(kind, name) if registry.contains(kind, name) else None
