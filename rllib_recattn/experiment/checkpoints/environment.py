"""The environment of a checkpoint, looked at before an agent plays in it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from rllib_recattn.envs.imported_env import ImportedEnv, find_creator
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.env_probe import probe
from rllib_recattn.experiment.definition.environment import env_creator, find_env
from rllib_recattn.rl_module.rllib_internals.configs import registered_env

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


def require_working_env(checkpoint: Path, config: AlgorithmConfig) -> None:
    """Make the environment that an agent was trained in, reset it and step it once.

    An EnvRunner would go on making an environment whose steps fail.

    Args:
        checkpoint: The agent's checkpoint, for error messages.
        config: The config of the algorithm that trained it.

    Raises:
        SettingsError: If that fails, in the words with which an experiment is validated.
    """
    where = f"checkpoint {str(checkpoint)!r}"
    if config.env is None:
        return  # RLlib says so
    name, creator = name_of_env(config), config.env
    if isinstance(creator, str):
        registered = registered_env(creator)
        if registered is None:
            find_env(creator, where)
        creator = registered or env_creator(creator, where)
    elif issubclass(creator, ImportedEnv):
        find_creator(creator.path, where)
    try:
        probe(functools.partial(creator, dict(config.env_config)), name)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


def name_of_env(config: AlgorithmConfig) -> str:
    """Return the id of a config's environment, or the name of what makes it."""
    env = config.env
    return env if isinstance(env, str) else getattr(env, "path", env.__name__)
