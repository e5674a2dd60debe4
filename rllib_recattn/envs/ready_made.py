"""Others' environments that are made ready for agents under an id of this package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gymnasium

from rllib_recattn.errors import SettingsError

# Ids of others' environments, with or without the package in front, and the environment that makes them ready: MiniGrid
# observes text, which no network takes, MiniWorld draws other worlds' walls where several share a process, and some of
# POPGym's tasks draw from generators that all share.
_MADE_READY = {
    re.compile("(minigrid:)?(?P<task>(MiniGrid|BabyAI)-.+)"): "rllib_recattn/MiniGrid-v0",
    re.compile("(miniworld:)?(?P<task>MiniWorld-.+)"): "rllib_recattn/MiniWorld-v0",
    re.compile("(popgym:)?(?P<task>popgym-.+)"): "rllib_recattn/POPGym-v0",
}

# Ids that a package registers when it is imported, which no process does by itself.
_ATARI = re.compile(r"(ALE/.+|\w+(NoFrameskip|Deterministic)-v\d+)")


def with_package(env: str) -> str:
    """Put the package in front of an id of Atari's games, without which Ray's processes do not know it."""
    return f"ale_py:{env}" if _ATARI.fullmatch(env) and env not in gymnasium.registry else env


def ready_made(env: str, env_config: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """Put an environment that is made ready for agents in the place of one of MiniGrid's, MiniWorld's or POPGym's.

    Args:
        env: The id of any environment.
        env_config: Its settings.
        where: File and key path of the settings, for error messages.

    Returns:
        ``rllib_recattn/MiniGrid-v0``, told the task, for MiniGrid's own ids, with or without ``minigrid:`` in front;
        likewise for MiniWorld's and POPGym's; what came in for all others.

    Raises:
        SettingsError: If the settings name a task as well.
    """
    for pattern, ready in _MADE_READY.items():
        match = pattern.fullmatch(env)
        if match is None:
            continue
        if "task" in env_config:
            task = env_config["task"]
            raise SettingsError(f"{where}: task = {task!r}: should be left out, the id {env!r} is the task")
        return ready, {"task": match["task"], **env_config}
    return env, dict(env_config)
