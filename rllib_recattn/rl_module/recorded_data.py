"""Checks of recorded episodes before BC or MARWIL starts: are they there, do they fit the agent?"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.bc import BCConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.env.env_context import EnvContext
from ray.rllib.offline.offline_data import OfflineData

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.catalog import MODEL_CONFIG_KEY
from rllib_recattn.rl_module.given_settings import model_config_of
from rllib_recattn.rl_module.recorded_episodes import require_packages
from rllib_recattn.rl_module.recorded_files import Recorded, recorded_in
from rllib_recattn.rl_module.rllib_internals.configs import connector_function, given_spec, registered_env


class CheckedOfflineData(OfflineData):
    """RLlib's reader of recorded data, which looks at it before a process of Ray Data's is started."""

    def __init__(self, config: AlgorithmConfig):
        check_recorded_data(config, spaces_of(config), "config.offline_data")
        super().__init__(config)


def check_data_before_reading(config: AlgorithmConfig) -> None:
    """Have a config of BC or MARWIL check its data first, unless it reads data with a class of the user's own."""
    if config.offline_data_class in (None, OfflineData):
        config.offline_data(offline_data_class=CheckedOfflineData)


def take_spaces_of_env(config: AlgorithmConfig) -> str | None:
    """Give a config of BC or MARWIL the spaces of its environment, which RLlib asks for where nothing is evaluated.

    Returns:
        What to do, if there is neither an environment nor spaces; they may still come.
    """
    try:
        observed, acted = spaces_of(config)
    except SettingsError as error:
        return str(error)
    except Exception:  # whatever a foreign environment raises; RLlib goes on to say it where it makes one itself
        return None
    config.environment(observation_space=observed, action_space=acted)
    return None


def check_recorded_data(
    config: AlgorithmConfig, spaces: tuple[gym.Space, gym.Space], where: str, max_seq_len: int | None = None
) -> None:
    """Refuse recorded episodes that an agent cannot learn from.

    What ``input_read_method`` and others than RLlib's episodes ask for is only looked for, or left to Ray Data.

    Args:
        config: A config of BC or MARWIL.
        spaces: The observation and the action space of the agent.
        where: What named the data, for error messages.
        max_seq_len: The length of a row; None: what the config's policies say.

    Raises:
        SettingsError: With a line for each thing that is wrong.
    """
    if not config.input_:
        raise SettingsError(f"{where}: input_ = {config.input_!r}: should be the path, or a list of paths, of episodes")
    others = config.input_read_method != "read_parquet" or config.input_read_method_kwargs.keys() - _HARMLESS
    if others or callable(config.input_):
        return
    as_episodes = bool(config.input_read_episodes)
    if as_episodes:
        require_packages(where)
    lines: dict[str, None] = {}
    found: list[Recorded] = []
    for path in [config.input_] if isinstance(config.input_, str | Path) else config.input_:
        place = f"{where}: input_ = {str(path)!r}"
        try:
            files = (str(path), config.input_filesystem, config.input_filesystem_kwargs, place)
            there = recorded_in(*files, as_episodes=as_episodes)
        except SettingsError as error:
            lines[str(error)] = None
            continue
        for each in there:
            for line in _misfits(each, *spaces, place) if _as_observed(config) else []:
                lines[line] = None
        found += there
    rows = max_seq_len if max_seq_len is not None else _max_seq_len(config)
    for line in _lengths(found, rows, 0 if isinstance(config, BCConfig) else 1, where) if rows is not None else []:
        lines[line] = None
    if lines:
        raise SettingsError("\n".join(lines))


def spaces_of(config: AlgorithmConfig) -> tuple[gym.Space, gym.Space]:
    """Return the spaces of a single agent: those of the config, else those of its environment, which is made for it.

    Raises:
        SettingsError: If there are none: recorded episodes need not tell.
    """
    observed, acted = config.observation_space, config.action_space
    if observed is not None and acted is not None:
        return observed, acted
    if config.env is None:
        missing = "observation_space" if observed is None else "action_space"
        raise SettingsError(
            f"config.environment: {missing} = None: {type(config).__name__.removesuffix('Config')} needs to know what "
            "the agent observes and does; should be config.environment(observation_space=…, action_space=…), or name "
            "the environment that the episodes were recorded in: config.environment('CartPole-v1')"
        )
    env = _make(config)
    try:
        return observed or env.observation_space, acted or env.action_space
    finally:
        env.close()


# What `input_read_method_kwargs` may say without changing which files are read.
_HARMLESS = {"filesystem", "override_num_blocks", "concurrency", "num_cpus", "ray_remote_args", "shuffle"}


def _make(config: AlgorithmConfig) -> Any:
    if callable(config.env):
        return config.env(EnvContext(config.env_config, worker_index=0))
    registered = registered_env(config.env)
    if registered is not None:
        return registered(EnvContext(config.env_config, worker_index=0))
    return gym.make(config.env, **config.env_config)


def _max_seq_len(config: AlgorithmConfig) -> int | None:
    """Return the shortest rows of the policies that have a model of this package."""
    spec = given_spec(config)
    specs = spec.rl_module_specs.values() if isinstance(spec, MultiRLModuleSpec) else [spec]
    of_specs = [model_config_of(each) for each in specs if each is not None and each.model_config is not None]
    given = [config.model_config, *({**config.model_config, **each} for each in of_specs)]
    return min((each["max_seq_len"] for each in given if MODEL_CONFIG_KEY in each), default=None)


def _as_observed(config: AlgorithmConfig) -> bool:
    """Whether the agent reads what was recorded as it is: connectors of the user's own may make anything of it."""
    for function in map(partial(connector_function, config), ("env_to_module_connector", "learner_connector")):
        while hasattr(function, "user_function"):
            function = function.user_function
        if function is not None:
            return False
    return True


def _lengths(found: Iterable[Recorded], max_seq_len: int, appended: int, where: str) -> Iterable[str]:
    for each in found:
        if each.cut is not None:
            yield (
                f"{where}: the recorded episode {each.cut!r} does not begin at its first step; should be whole: record "
                "with batch_mode='complete_episodes'"
            )
            break
    longest = max(found, key=lambda each: each.longest, default=None)
    if longest is not None and longest.longest + appended > max_seq_len:
        yield (
            f"{where}: max_seq_len = {max_seq_len}: should be at least {longest.longest + appended}, since the longest "
            f"recorded episode, {longest.longest_id!r}, has {longest.longest} steps"
            + (", to which MARWIL adds one" if appended else "")
            + "; a row in the middle of it would need a recurrent state that was not recorded"
        )


def _misfits(recorded: Recorded, observed: gym.Space, acted: gym.Space, where: str) -> Iterable[str]:
    for kind, space, values in (
        ("observation", observed, [recorded.first_observation]),
        ("action", acted, recorded.first_actions),
    ):
        strange = [value for value in values if not _fits(space, value)]
        if strange:
            yield (
                f"{where}: was recorded in another environment: an {kind} of the episode {recorded.first_id!r} is "
                f"{_described(strange[0])}; should be of the {kind} space {space}"
            )


def _fits(space: gym.Space, value: Any) -> bool:
    """Whether a value may be of a space, going by its form: Box actions are recorded as they were before scaling."""
    if isinstance(space, gym.spaces.Dict):
        return (
            isinstance(value, dict) and value.keys() == space.keys() and all(_fits(space[k], value[k]) for k in value)
        )
    if isinstance(space, gym.spaces.Tuple):
        same = isinstance(value, list | tuple) and len(value) == len(space.spaces)
        return same and all(map(_fits, space.spaces, value))
    if isinstance(space, gym.spaces.Box):
        return np.shape(value) == space.shape
    if isinstance(space, gym.spaces.Discrete):
        numbers = np.asarray(value)
        return numbers.shape == () and numbers.dtype.kind in "iu" and 0 <= numbers - space.start < space.n
    return np.shape(value) == space.shape and bool(np.all(np.asarray(value) == np.asarray(value).astype(int)))


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping of " + ", ".join(map(str, value))
    array = np.asarray(value)
    return repr(array.item()) if array.shape == () else f"an array of shape {array.shape}"
