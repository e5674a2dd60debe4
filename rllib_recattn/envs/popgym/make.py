"""POPGym's tasks, by their own names or with arguments of one's own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled

from rllib_recattn.errors import Settings, SettingsError, suggest, validate

INSTALL = "pip install 'rllib-recattn[popgym]'"


class POPGymSettings(Settings):
    """What a POPGym task can be told; see :func:`make_popgym`."""

    task: str
    task_settings: dict[str, Any]


def make_popgym(
    task: str, task_settings: Mapping[str, Any] | None = None, render_mode: str | None = None
) -> gymnasium.Env:
    """Make one of POPGym's tasks.

    Returns lie between −1 and 1; none of the tasks reports a success. Those that need the last action (Battleship,
    Concentration, the labyrinths, MineSweeper, MultiarmedBandit) leave it to the agent to look at it:
    ``use_prev_action`` of the model does.

    Args:
        task: POPGym's id, such as "popgym-RepeatPreviousEasy-v0"; or without a difficulty, "popgym-RepeatPrevious-v0",
            to choose the arguments yourself.
        task_settings: Arguments of the task's class, such as ``{"k": 8}``, for a task without a difficulty.
        render_mode: As far as the task has one: "rgb_array" and "human" for CartPole and Pendulum.

    Raises:
        DependencyNotInstalled: If POPGym, or what its labyrinths need, is not installed; the message has the line that
            installs it.
        SettingsError: A setting is wrong, or the task cannot be made with it.
    """
    given = {"task": task, "task_settings": {} if task_settings is None else task_settings}
    settings = validate(POPGymSettings, given, where="POPGym")
    where = f"POPGym: task = {settings.task!r}"
    task_class = _task_class(settings.task, where, has_settings=bool(settings.task_settings))
    env: gymnasium.Env
    try:
        env = task_class(**settings.task_settings)
    except Exception as error:  # whatever a task raises
        raise SettingsError(
            f"{where} cannot be made with {settings.task_settings}: {type(error).__name__}: {error}"
        ) from error
    modes = env.metadata.get("render_modes", [])
    if render_mode is not None and render_mode not in modes:
        raise SettingsError(f"{where}: render_mode = {render_mode!r}: should be {' or '.join([*modes, 'None'])}")
    env.render_mode = render_mode
    return OwnRandomness(env) if "Labyrinth" in settings.task else env


class OwnRandomness(gymnasium.Wrapper):
    """Gives an environment that draws from Python's and NumPy's global generators states of its own.

    POPGym's labyrinths seed the global generators, which would have other environments repeat themselves, and draw
    from them, which would have their mazes depend on whoever else draws.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self._states: tuple[Any, Any] | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, with a maze that depends on this environment's seed alone."""
        with self._own_states():
            return self.env.reset(seed=seed, options=options)

    @contextmanager
    def _own_states(self) -> Iterator[None]:
        others = random.getstate(), np.random.get_state()
        if self._states is None:
            random.seed()
            np.random.seed()
        else:
            random.setstate(self._states[0])
            np.random.set_state(self._states[1])
        try:
            yield
        finally:
            self._states = random.getstate(), np.random.get_state()
            random.setstate(others[0])
            np.random.set_state(others[1])


def _task_class(task: str, where: str, has_settings: bool) -> Any:
    try:
        from popgym import envs
    except ImportError as error:
        raise DependencyNotInstalled(f"POPGym cannot be imported ({error}): {INSTALL}") from error
    ready = {entry["id"]: task_class for task_class, entry in envs.ALL.items()}
    open_ones = {entry["id"]: task_class for task_class, entry in envs.ALL_BASE.items()}
    if task in open_ones:
        return open_ones[task]
    if task not in ready:
        if "Labyrinth" in task and not envs.has_mazelib():
            raise DependencyNotInstalled(f"{where} needs mazelib: {INSTALL}")
        raise SettingsError(f"{where}: {suggest(task, ready)}")
    if has_settings:
        # The classes of the difficulties ignore arguments, or do not take any.
        open_task = next(name for name, base in open_ones.items() if issubclass(ready[task], base))
        raise SettingsError(f"{where}: its task_settings are fixed; should be {open_task!r} to choose them")
    return ready[task]
