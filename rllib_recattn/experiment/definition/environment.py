"""An environment by its id or path: whether there is one, whether it takes its settings, and what its spaces are."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from rllib_recattn.envs.imported_env import (
    call,
    class_for_rllib,
    find_creator,
    parameters_of,
    takes_mapping,
)
from rllib_recattn.envs.ready_made import ready_made
from rllib_recattn.errors import SettingsError, suggest, suggest_among_many
from rllib_recattn.experiment.definition.env_probe import EnvProbe, probe
from rllib_recattn.importing import import_named, is_import_path, name_in

# Extras of this package with which others' environments come.
_EXTRAS = {"ale_py": "atari", "popgym": "popgym"}

# What gymnasium.make takes for itself.
_MAKE_ARGUMENTS = {"max_episode_steps", "disable_env_checker"}


def find_env(env: str, where: str) -> EnvSpec:
    """Look an environment up in Gymnasium's registry.

    Args:
        env: Its id, as ``gymnasium.make`` takes it. ``package:Name-v0`` imports the package that registers it. A class,
            or a function that makes environments, is imported as well, as ``package.module:Name`` or
            ``package.module.Name``.
        where: File and key path, for error messages.

    Returns:
        The registry's entry; for a class or a function one that is in no registry.

    Raises:
        SettingsError: If the package cannot be imported or there is no such environment.
    """
    module, _, name = env.rpartition(":")
    if module:
        found = _import_package(module, f"{where}: {env!r}")
        if name not in gymnasium.registry and is_import_path(env) and not hasattr(found, name):
            raise SettingsError(
                f"{where}: {env!r}: the module {module!r} neither has an environment {name!r} nor registers one: "
                f"{_nearest_ids(name)}"
            )
    if is_class_path(env):
        return EnvSpec(env, entry_point=find_creator(env, where))
    if name in gymnasium.registry:
        return gymnasium.registry[name]
    raise SettingsError(f"{where}: unknown environment {env!r}: {_nearest_ids(name)}")


def check_env_config(env: str, env_config: Mapping[str, Any], where: str) -> None:
    """Check the settings of an environment by building it, resetting it and stepping it once, see :func:`probe_env`.

    Args:
        env: The id of an environment that :func:`find_env` finds.
        env_config: The settings.
        where: File and key path of the settings, for error messages.

    Raises:
        SettingsError: If the environment does not take a setting, refuses a value, or cannot be reset or stepped.
    """
    creator = find_env(env, where).entry_point
    of_class = is_class_path(env)
    if not (of_class and takes_mapping(creator, env_config)):  # type: ignore[arg-type]
        known = _parameters(creator)
        made_by = set() if of_class else _MAKE_ARGUMENTS
        unknown = [] if known is None else [key for key in env_config if key not in known | made_by]
        if known is not None and unknown:
            valid = suggest if known else (lambda key, _: "it takes none")
            lines = (f"{where}: {env} has no setting {key!r}: {valid(key, known)}" for key in unknown)
            raise SettingsError("\n".join(lines))
    probe_env(env, env_config, where)


def agents_of(env: str, env_config: Mapping[str, Any], where: str) -> Sequence[Any] | None:
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
    env, env_config = ready_made(env, env_config, where)
    return probe_env(env, env_config, where).agents if is_class_path(env) else None


def is_class_path(env: str) -> bool:
    """Tell whether an environment is named by the path of what makes it, ``package.module:Name``."""
    return is_import_path(env) and env not in gymnasium.registry and name_in(env) not in gymnasium.registry


def env_creator(env: str, where: str, env_config: Mapping[str, Any] | None = None) -> Callable[[Any], Any]:
    """Return what makes an environment from RLlib's mapping of settings; a class if it was named by a path.

    Args:
        env: The environment, as :func:`find_env` takes it.
        where: File and key path, for error messages.
        env_config: The settings that it will be called with, as far as they are known.

    Raises:
        SettingsError: As :func:`find_env`.
    """
    if is_class_path(env):
        return class_for_rllib(env, env_config or {}, where)
    return lambda config: gymnasium.make(env, **config)


def rllib_env(env: str, env_config: Mapping[str, Any], where: str) -> Any:
    """Return what RLlib makes environments from: an id of Gymnasium's, or a class.

    Raises:
        SettingsError: As :func:`find_env`.
    """
    return env_creator(env, where, env_config) if is_class_path(env) else env


_PROBES: dict[tuple[Any, ...], EnvProbe | str] = {}  # what was found, or what was wrong


def probe_env(env: str, env_config: Mapping[str, Any], where: str) -> EnvProbe:
    """Build an environment, reset it and step it once; in each process once for each id and settings.

    Args:
        env: The environment, as :func:`find_env` takes it.
        env_config: Its settings.
        where: File and key path of the settings, for error messages.

    Returns:
        Its spaces and agents.

    Raises:
        SettingsError: As :func:`find_env`, and if it cannot be built, reset or stepped.
    """
    creator: Any = find_env(env, where).entry_point
    unnamed = [name for name in env_config if not isinstance(name, str)]
    if unnamed and not is_class_path(env):
        raise SettingsError(f"{where}: {unnamed[0]!r}: should be a string, the name of a setting of {env}")
    # Keys of several kinds, such as agents by number, have no order of their own.
    key = (env, creator, json.dumps(env_config if unnamed else dict(sorted(env_config.items())), default=repr))
    if key not in _PROBES:
        make = functools.partial(gymnasium.make, env, **env_config)
        if is_class_path(env):
            make = functools.partial(call, creator, dict(env_config))
        try:
            _PROBES[key] = probe(make, env)
        except SettingsError as error:
            _PROBES[key] = str(error)
    found = _PROBES[key]
    if isinstance(found, str):
        raise SettingsError(f"{where}: {found}")
    return found


def forget_faults() -> None:
    """Let environments that failed be tried again: what they need may be there by now."""
    for key in [key for key, found in _PROBES.items() if isinstance(found, str)]:
        del _PROBES[key]


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


def _import_package(module: str, where: str) -> Any:
    extra = _EXTRAS.get(module)
    if extra is not None and importlib.util.find_spec(module) is None:
        raise SettingsError(f"{where}: needs the package {module!r}: pip install 'rllib-recattn[{extra}]'")
    return import_named(module, where)


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
    parameters = parameters_of(creator) if creator else None
    if parameters is None or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}
