"""An environment tried out before anything starts: made, reset and stepped once, and its spaces kept."""

from __future__ import annotations

import contextlib
import random
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.probe_action import allowed_action

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
_PACKAGE = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class EnvProbe:
    """What there is to know of an environment without making it once more.

    Attributes:
        observation_space: What is observed, as it was before the first reset, where RLlib reads it; None where several
            agents have spaces of their own.
        action_space: What is done, likewise.
        agents: The ids of all agents that it may have, as far as it knows them; None if it is one of one agent.
        spaces: The observation and the action space, likewise, of each agent whose spaces RLlib asks for; None for one
            of which the environment cannot tell them.
    """

    observation_space: Any
    action_space: Any
    agents: tuple[Any, ...] | None = None
    spaces: Mapping[Any, tuple[Any, Any] | None] = field(default_factory=dict)


def probe(make: Callable[[], Any], env: str) -> EnvProbe:
    """Make an environment, reset it, step it once with a random action, and close it.

    Args:
        make: Makes it.
        env: Its name, for error messages.

    Raises:
        SettingsError: With what failed, how, and where in whose code; also if what it returns is not what
            Gymnasium, or RLlib where there are several agents, asks for.
    """
    with _own_random_numbers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RLlib says them in its own time
        with _explained(f"{env} cannot be built with these settings"):
            built = make()
            if not isinstance(built, gymnasium.Env):
                raise SettingsError(f"what is made should be a gymnasium.Env, and is of type {type(built).__name__}")
        try:
            several = _is_multi_agent(built)
            with _explained(f"{env}: its spaces cannot be read"):
                spaces = getattr(built, "observation_space", None), getattr(built, "action_space", None)
                of_agents = _spaces_of_agents(built) if several else {}
            with _explained(f"{env}: reset(seed=0) fails"):
                obs = _parts(built.reset(seed=0), "reset", ("observation", "info"))[0]
                if not several:
                    _check_observation(obs, built.observation_space)
            with _explained(f"{env}: step fails"):
                (_step_several if several else _step)(built, obs)
            if not several and not all(isinstance(space, gymnasium.Space) for space in spaces):
                raise SettingsError(f"{env} has its spaces only after a reset; RLlib reads them before")
            agents = tuple(getattr(built, "possible_agents", None) or ()) if several else None
            return EnvProbe(*spaces, agents, of_agents)
        finally:
            with _explained(f"{env}: close fails"):
                getattr(built, "close", lambda: None)()


def _spaces_of_agents(built: Any) -> dict[Any, tuple[Any, Any] | None]:
    agents = getattr(built, "possible_agents", None) or built.get_agent_ids()
    spaces: dict[Any, tuple[Any, Any] | None] = dict.fromkeys(agents)
    for agent in spaces:
        with contextlib.suppress(Exception):  # whatever a foreign environment raises, which RLlib may never ask
            spaces[agent] = built.get_observation_space(agent), built.get_action_space(agent)
    return spaces


def _is_multi_agent(built: Any) -> bool:
    """Tell whether an environment is one of RLlib's of several agents."""
    # None can be, before RLlib's module of them is imported.
    base = getattr(sys.modules.get("ray.rllib.env.multi_agent_env"), "MultiAgentEnv", None)
    return base is not None and isinstance(built, base)


def _step(env: Any, obs: Any) -> None:
    action = allowed_action(env.observation_space, env.action_space, obs)
    names = ("observation", "reward", "terminated", "truncated", "info")
    obs, reward, *_ = _parts(env.step(action), "step", names)
    _check_observation(obs, env.observation_space)
    float(reward)


def _step_several(env: Any, obs: Mapping[Any, Any]) -> None:
    if not isinstance(obs, Mapping):
        raise SettingsError(f"reset should return a mapping from agents to observations, not {_short(obs)}")
    actions = {}
    for agent in obs:
        actions[agent] = allowed_action(env.get_observation_space(agent), env.get_action_space(agent), obs[agent])
    names = ("observations", "rewards", "terminateds", "truncateds", "infos")
    parts = _parts(env.step(actions), "step", names)
    for name, part in zip(names, parts, strict=True):
        if not isinstance(part, Mapping):
            raise SettingsError(f"step should return mappings from agents, its {name} are {_short(part)}")


def _parts(returned: Any, method: str, names: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(returned, tuple) or len(returned) != len(names):
        length = f" of {len(returned)}" if isinstance(returned, tuple) else ""
        raise SettingsError(
            f"{method} should return {', '.join(names)}, as Gymnasium asks for, not a {type(returned).__name__}{length}"
        )
    return returned


def _check_observation(obs: Any, space: gymnasium.Space[Any]) -> None:
    """Put an observation where RLlib puts those of an environment."""
    try:
        concatenate(space, [obs], create_empty_array(space, 1))
    except Exception as error:
        raise SettingsError(
            f"the observation {_short(obs)} is not of the observation_space {_short(space)}: {_reason(error)}"
        ) from error


@contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
    except (Exception, SystemExit) as error:  # whatever a foreign environment raises
        raise SettingsError(f"{where}: {_reason(error)}{_place(error)}") from error


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    is_sentence = isinstance(error, ValueError | gymnasium.error.Error | AssertionError)
    return text if text and is_sentence else f"{type(error).__name__}{f': {text}' if text else ''}"


def _place(error: BaseException) -> str:
    """Name the last line of the user's own code that an error went through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*_LIBRARIES, _PACKAGE, "<")):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 100 else f"{text[:100]}…"


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Leave the generators of the process as they are found: an environment may draw from them, and seed them."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
