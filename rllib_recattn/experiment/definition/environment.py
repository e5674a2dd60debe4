"""Check an environment's id and its settings before anything starts."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from rllib_recattn.errors import SettingsError, suggest
from rllib_recattn.experiment.definition.suggestions import suggest_among_many
from rllib_recattn.importing import import_class, import_named
from rllib_recattn.importing import is_class_path as has_form_of_class_path

# Ids of others' environments, with or without the package in front, and the environment that makes them ready: MiniGrid
# observes text, which no network takes, MiniWorld draws other worlds' walls where several share a process, and some of
# POPGym's tasks draw from generators that all share.
_MADE_READY = {
    re.compile("(minigrid:)?(?P<task>(MiniGrid|BabyAI)-.+)"): "rllib_recattn/MiniGrid-v0",
    re.compile("(miniworld:)?(?P<task>MiniWorld-.+)"): "rllib_recattn/MiniWorld-v0",
    re.compile("(popgym:)?(?P<task>popgym-.+)"): "rllib_recattn/POPGym-v0",
}

# What gymnasium.make takes for itself.
_MAKE_ARGUMENTS = {"max_episode_steps", "disable_env_checker"}


def find_env(env: str, where: str) -> EnvSpec:
    """Look an environment up in Gymnasium's registry.

    Args:
        env: Its id, as ``gymnasium.make`` takes it. ``package:Name-v0`` imports the package that registers it. The path
            of a class, ``package.module.Class``, is imported as well; RLlib gives such a class its settings as one
            mapping.
        where: File and key path, for error messages.

    Returns:
        The registry's entry; for a class one that is in no registry.

    Raises:
        SettingsError: If the package cannot be imported or there is no such environment.
    """
    if is_class_path(env):
        return EnvSpec(env, entry_point=import_class(env, gymnasium.Env, "environment", where))
    module, _, name = env.rpartition(":")
    if module:
        import_named(module, f"{where}: {env!r}")
    if name in gymnasium.registry:
        return gymnasium.registry[name]
    raise SettingsError(f"{where}: unknown environment {env!r}: {_nearest_ids(name)}")


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


def check_env_config(env: str, env_config: Mapping[str, Any], where: str) -> None:
    """Check the settings of an environment by building it once.

    Args:
        env: The id of an environment that :func:`find_env` finds.
        env_config: The settings.
        where: File and key path of the settings, for error messages.

    Raises:
        SettingsError: If the environment does not take a setting, or refuses a value.
    """
    if is_class_path(env):
        environment = import_class(env, gymnasium.Env, "environment", where)
        with _explained(env, where):
            environment(dict(env_config)).close()
        return
    known = _parameters(gymnasium.registry[env.rpartition(":")[2]].entry_point)
    if known is not None:
        unknown = [key for key in env_config if key not in known | _MAKE_ARGUMENTS]
        if unknown:
            lines = (f"{where}: {env} has no setting {key!r}: {suggest(key, known)}" for key in unknown)
            raise SettingsError("\n".join(lines))
    with _explained(env, where):
        gymnasium.make(env, **env_config).close()


def agents_of(env: str, env_config: Mapping[str, Any], where: str) -> list[Any] | None:
    """Return the ids of all agents that an environment may have, as far as it knows them.

    Args:
        env: The environment, as :func:`find_env` takes it.
        env_config: Its settings.
        where: File and key path, for error messages.

    Returns:
        The ids; None if it is an environment of one agent.

    Raises:
        SettingsError: If it cannot be built.
    """
    # No class can be one of RLlib's multi-agent environments before RLlib's module of them is imported.
    environment = import_class(env, gymnasium.Env, "environment", where) if is_class_path(env) else None
    base = getattr(sys.modules.get("ray.rllib.env.multi_agent_env"), "MultiAgentEnv", None)
    if environment is None or base is None or not issubclass(environment, base):
        return None
    with _explained(env, where):
        built = environment(dict(env_config))
        try:
            return list(built.possible_agents)
        finally:
            built.close()


def is_class_path(env: str) -> bool:
    """Tell whether an environment is named by the path of its class, ``package.module.Class``."""
    return has_form_of_class_path(env) and env not in gymnasium.registry


def env_creator(env: str, where: str) -> Callable[[Any], Any]:
    """Return what makes an environment from RLlib's mapping of settings.

    Raises:
        SettingsError: As :func:`find_env`.
    """
    if is_class_path(env):
        return import_class(env, gymnasium.Env, "environment", where)
    return lambda config: gymnasium.make(env, **config)


@contextmanager
def _explained(env: str, where: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a foreign environment raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SettingsError(f"{where}: {env} cannot be built with these settings: {reason}") from None


def is_vectorized_with(spec: EnvSpec, env_config: Mapping[str, Any]) -> bool:
    """Tell whether an environment has a vectorised implementation that takes these settings and suits RLlib.

    RLlib reads episodes correctly only if a finished environment is reset by the next step.
    """
    if spec.vector_entry_point is None or spec.additional_wrappers:
        return False
    creator = _creator(spec.vector_entry_point)
    known = _parameters(spec.vector_entry_point)
    mode = getattr(creator, "metadata", {}).get("autoreset_mode")
    return mode == gymnasium.vector.AutoresetMode.NEXT_STEP and known is not None and known.issuperset(env_config)


def _nearest_ids(name: str) -> str:
    in_a_namespace = [id_ for id_ in gymnasium.registry if id_.endswith(f"/{name}")]
    if in_a_namespace:
        return "did you mean " + " or ".join(map(repr, in_a_namespace)) + "?"
    return suggest_among_many(
        name,
        gymnasium.registry,
        "should be a registered id such as 'CartPole-v1', or 'package:Name-v0' to import its package first",
    )


def _creator(entry_point: Any) -> Callable[..., Any] | None:
    try:
        return load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    except Exception:  # building it says why it cannot be imported
        return None


def _parameters(entry_point: Any) -> set[str] | None:
    """Return the names of the settings that an environment takes; None if they cannot be known."""
    creator = _creator(entry_point)
    try:
        parameters = inspect.signature(creator).parameters.values() if creator else None
    except (TypeError, ValueError):
        return None
    if parameters is None or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}
