"""Memory Gym's tasks, made ready to share a process and to be told their settings when they are made."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from pydantic import create_model

from rllib_recattn.envs.memory_gym import TASKS
from rllib_recattn.errors import Settings, SettingsError, suggest, validate
from rllib_recattn.success import SUCCESS

# Without dependencies, since Memory Gym asks for one old release of Gymnasium, and runs with others.
INSTALL = "pip install --no-deps memory-gym==1.0.2 && pip install pygame-ce"

# Its third, "human", needs a screen, which only one environment of a process can have.
_RENDER_MODES = ("rgb_array", "debug_rgb_array")

# What Memory Gym takes for "no time limit"; this package keeps the limit.
_ENDLESS = -1


def make_memory_gym(task: str, render_mode: str | None = None, **settings: Any) -> gymnasium.Env:
    """Make one of Memory Gym's tasks.

    The last ``info`` of an episode has ``success``, a bool, but for the endless tasks, which know none. Episodes that
    run out of time are truncated; Memory Gym terminates them.

    Args:
        task: One of :data:`~rllib_recattn.envs.memory_gym.TASKS`.
        render_mode: "rgb_array" for what the agent sees, "debug_rgb_array" for what is hidden from it as well, or None.
        **settings: Those of Memory Gym's reset parameters that differ from their defaults, such as
            ``show_goal=True``. A ``max_steps`` of −1 is no time limit.

    Raises:
        DependencyNotInstalled: If Memory Gym is not installed; the message has the line that installs it.
        SettingsError: If a setting is unknown or wrong, or the task cannot be made with them.
    """
    if task not in TASKS:
        raise SettingsError(f"Memory Gym: task = {task!r}: {suggest(task, TASKS)}")
    if render_mode not in (None, *_RENDER_MODES):
        raise SettingsError(f"{task}: render_mode = {render_mode!r}: should be {' or '.join(_RENDER_MODES)}, or None")
    task_class = _import_task(TASKS[task])
    env = MemoryGym(task_class(render_mode=render_mode), task, settings)
    try:
        env.reset()  # finds what the types of the settings do not, such as an empty list of choices
    except SettingsError:
        raise
    except Exception as error:  # whatever a task raises
        raise SettingsError(f"{task} cannot be made with {settings}: {type(error).__name__}: {error}") from error
    return env


class MemoryGym(gymnasium.Wrapper):
    """Keeps the settings of a task from reset to reset, truncates at the time limit, and lives with siblings.

    Memory Gym draws all environments of a process on one screen and closes it for all when one is closed.

    Args:
        env: A task of Memory Gym.
        name: For error messages.
        settings: Its reset parameters, as far as they differ from the defaults. ``reset(options=…)`` takes others for
            one episode.
    """

    def __init__(self, env: gymnasium.Env, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(env)
        self.metadata = {**env.metadata, "render_modes": list(_RENDER_MODES)}
        defaults: dict[str, Any] = env.default_reset_parameters  # type: ignore[attr-defined]
        fields: Any = {key: (_type_of(value), value) for key, value in defaults.items()}
        self._schema = create_model(f"{name}Settings", __base__=Settings, **fields)
        self._name, self._settings = name, dict(settings)
        self._knows_success = not name.startswith("Endless")
        self._limit, self._n_steps = _ENDLESS, 0
        self._frame: np.ndarray | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, with `options` in the place of settings."""
        given = {**self._settings, **(options or {})}
        lists = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
        settings = validate(self._schema, lists, where=self._name).model_dump()
        if "max_steps" in settings:
            self._limit = settings["max_steps"]
            if self._limit < 1 and self._limit != _ENDLESS:
                raise SettingsError(f"{self._name}: max_steps = {self._limit}: should be positive, or −1 for no limit")
            settings["max_steps"] = _ENDLESS
        self._n_steps = 0
        observation, info = self.env.reset(seed=seed, options=settings)
        self._frame = _frame_of(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step; the last one of an episode reports its success."""
        observation, reward, terminated, _, info = self.env.step(action)
        self._n_steps += 1
        truncated = not terminated and self._n_steps == self._limit
        if (terminated or truncated) and self._knows_success:
            info = {**info, SUCCESS: bool(info.get(SUCCESS))}
        self._frame = _frame_of(observation)
        return observation, reward, terminated, truncated, info

    def render(self) -> Any:
        """Return a picture, [H, W, 3]: the last observation, since the screen may show a sibling's, or the hidden."""
        if self.render_mode == "rgb_array":
            return None if self._frame is None else self._frame.transpose(1, 0, 2).copy()
        return self.env.render()

    def close(self) -> None:
        """Leave the screen to the siblings."""


def _type_of(default: Any) -> Any:
    return list[type(default[0])] if isinstance(default, list) else type(default)  # type: ignore[misc]


def _frame_of(observation: Any) -> np.ndarray:
    return observation["visual_observation"] if isinstance(observation, Mapping) else observation


def _import_task(entry_point: str) -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    # Neither a screen nor a sound card is needed.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    module, _, name = entry_point.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise DependencyNotInstalled(f"Memory Gym cannot be imported ({error}): {INSTALL}") from error
