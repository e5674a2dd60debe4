"""An RLModule of the user's own, in the place of this package's or of RLlib's."""

from __future__ import annotations

import copy
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.imports import MODULE_CLASS
from rllib_recattn.experiment.algorithm.policies import models_of
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.rl_module.algorithms import algorithm_of
from rllib_recattn.rl_module.rllib_internals.configs import given_spec


def choose_module(config: AlgorithmConfig, module_class: type | None, experiment: Experiment) -> None:
    """Give a config an RLModule class; None changes nothing.

    Args:
        config: The config, after it was given its models.
        module_class: The class. Where policies have models of this package's, it is for these.
        experiment: What the config is built from.

    Raises:
        SettingsError: If there are such models, and it is no subclass of the module that holds them.
    """
    if module_class is None:
        return
    if not models_of(experiment):
        config.rl_module(rl_module_spec=RLModuleSpec(module_class=module_class))
        return
    ours = algorithm_of(config, experiment.run).module
    if not issubclass(module_class, ours):
        raise SettingsError(
            f"{experiment.where}.config.{MODULE_CLASS} = {module_class.__name__}: should inherit from "
            f"{ours.__module__}.{ours.__name__}, which holds the 'model' block's network, or that block be left out"
        )
    spec = copy.deepcopy(given_spec(config))
    of_policies = spec.rl_module_specs.values() if isinstance(spec, MultiRLModuleSpec) else [spec]
    for each in of_policies:
        if each.module_class is ours:
            each.module_class = module_class
    config.rl_module(rl_module_spec=spec)


def check_module(config: AlgorithmConfig, env: Any, where: str) -> None:
    """Build the RLModules of a config once.

    Raises:
        SettingsError: With what one of them raises.
    """
    for spec in config.get_multi_rl_module_spec(env=env).rl_module_specs.values():
        try:
            spec.build()
        except Exception as error:  # whatever a foreign module raises
            name = getattr(spec.module_class, "__name__", spec.module_class)
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SettingsError(f"{where}.{MODULE_CLASS}: {name} cannot be built: {reason}") from error
