"""MiniWorld's tasks, made ready to share a process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gymnasium
import miniworld  # noqa: F401, registers the tasks
from gymnasium.envs.registration import load_env_creator
from miniworld.miniworld import MiniWorldEnv
from pydantic import Field

from rllib_recattn.envs.miniworld.worlds.own_world import OwnWorld, WorldSettings
from rllib_recattn.envs.wrappers import ReportSuccess, select_actions
from rllib_recattn.errors import SettingsError, suggest, validate

Action = Literal["turn_left", "turn_right", "move_forward", "move_back", "pickup", "drop", "toggle", "done"]

# Tasks where a positive reward at the end is no success: in this one, only death ends an episode.
_WITHOUT_SUCCESS = {"MiniWorld-CollectHealth-v0"}


class MiniWorldSettings(WorldSettings):
    """What a MiniWorld task can be told; see :func:`make_miniworld`."""

    task: str
    actions: list[Action] | None
    max_steps: int | None = Field(ge=1)
    task_settings: dict[str, Any]


def make_miniworld(
    task: str,
    actions: Sequence[str] | None = None,
    obs_width: int = 80,
    obs_height: int = 60,
    max_steps: int | None = None,
    task_settings: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    view: str = "agent",
) -> gymnasium.Env:
    """Make one of MiniWorld's tasks.

    The last ``info`` of an episode has ``success``, a bool: whether it ended with a positive reward; but for
    CollectHealth, which knows no success.

    Args:
        task: MiniWorld's id, such as "MiniWorld-Maze-v0".
        actions: Names of the actions that the agent has, in their order. None: all of the task's.
        obs_width: Columns of what the agent sees.
        obs_height: Rows of what the agent sees.
        max_steps: Steps after which an episode is truncated. None: the task's.
        task_settings: Further arguments of the task's class, such as ``{"domain_rand": True}``.
        render_mode: "rgb_array", "human" or None.
        view: What ``render`` draws: what the "agent" sees, larger, or the world from the "top".

    Raises:
        SettingsError: A setting is wrong, or the task cannot be made with it.
    """
    settings = validate(
        MiniWorldSettings,
        {
            "task": task,
            "actions": list(actions) if isinstance(actions, tuple) else actions,
            "obs_width": obs_width,
            "obs_height": obs_height,
            "max_steps": max_steps,
            "task_settings": {} if task_settings is None else task_settings,
            "render_mode": render_mode,
            "view": view,
        },
        where="MiniWorld",
    )
    made = _make_task(settings)
    env: gymnasium.Env = made
    if settings.actions is not None:
        env = select_actions(env, [made.Actions[name].value for name in settings.actions])
    return env if settings.task in _WITHOUT_SUCCESS else ReportSuccess(env)


def _make_task(settings: MiniWorldSettings) -> OwnWorld:
    where = f"MiniWorld: task = {settings.task!r}"
    if settings.task not in gymnasium.registry or not settings.task.startswith("MiniWorld-"):
        known = [name for name in gymnasium.registry if re.match("MiniWorld-", name)]
        raise SettingsError(f"{where}: {suggest(settings.task, known)}")
    spec = gymnasium.spec(settings.task)
    task_class: Any = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    if not (isinstance(task_class, type) and issubclass(task_class, MiniWorldEnv)):
        raise SettingsError(f"{where}: should be a class of MiniWorld's, but is {task_class!r}")
    own_class = type(task_class.__name__, (OwnWorld, task_class), {})
    arguments = settings.model_dump(include={"obs_width", "obs_height", "render_mode", "view"})
    try:
        env = own_class(**{**spec.kwargs, **arguments, **settings.task_settings})
    except SettingsError:
        raise
    except Exception as error:  # whatever a task raises
        given = settings.task_settings
        raise SettingsError(f"{where} cannot be made with {given}: {type(error).__name__}: {error}") from error
    if settings.max_steps is not None:  # not all classes have it as an argument
        env.max_episode_steps = settings.max_steps
    return env
