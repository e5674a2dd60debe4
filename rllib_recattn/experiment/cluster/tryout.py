"""A node is tried out with what its processes will do first: load RLlib with this package, and make the environment."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from rllib_recattn.experiment.definition.environment import env_creator, find_env


def load_and_make(env: str, env_config: Mapping[str, Any]) -> None:
    """Import what training imports, and make the environment once.

    Args:
        env: Its id, or the path of what makes it.
        env_config: Its settings.

    Raises:
        Exception: Whatever that raises here, such as that a package is missing.
    """
    importlib.import_module("rllib_recattn.rl_module.use_model")
    find_env(env, "env")
    env_creator(env, "env", env_config)(dict(env_config)).close()
