"""MiniGrid's tasks, made ready for agents that learn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import gymnasium
import minigrid  # noqa: F401, registers the tasks
from gymnasium import spaces
from minigrid.core.actions import Actions
from minigrid.wrappers import RGBImgPartialObsWrapper
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rllib_recattn.envs.minigrid.observations import MiniGridObservation, MissionSlots, OneHotImage
from rllib_recattn.envs.wrappers import ReportSuccess, select_actions
from rllib_recattn.errors import Settings, SettingsError, suggest, validate

Action = Literal["left", "right", "forward", "pickup", "drop", "toggle", "done"]


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise PydanticCustomError("even", "should be odd, so that the agent stands in the middle")
    return size


class MiniGridSettings(Settings):
    """What a MiniGrid task can be told; see :func:`make_minigrid`."""

    task: str
    observation: Literal["onehot", "rgb", "codes"]
    mission: Literal["auto", "drop", "slots"]
    direction: bool
    actions: list[Action] | None
    tile_size: int = Field(ge=1)
    agent_view_size: Annotated[int, Field(ge=3), AfterValidator(_odd)] | None
    max_steps: int | None = Field(ge=1)
    task_settings: dict[str, Any]


def make_minigrid(
    task: str,
    observation: str = "onehot",
    mission: str = "auto",
    direction: bool = False,
    actions: Sequence[str] | None = None,
    tile_size: int = 8,
    agent_view_size: int | None = None,
    max_steps: int | None = None,
    task_settings: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env:
    """Make one of MiniGrid's tasks.

    The last ``info`` of an episode has ``success``, a bool: whether it ended with a positive reward.

    Args:
        task: MiniGrid's id, such as "MiniGrid-MemoryS7-v0".
        observation: What the agent sees of the cells in view, V a side: "onehot" (their object, colour and state as
            one-hot vectors, [V, V, 20]), "rgb" (a picture, [V · tile_size, V · tile_size, 3]), or "codes" (MiniGrid's
            categories as numbers, [V, V, 3], for an encoder of your own: their order means nothing).
        mission: "drop" leaves it out; "slots" observes the words that vary, a one-hot vector each (MultiDiscrete);
            "auto" is "drop" if there is one mission only, else "slots". With it, observations are Dicts of ``image``
            and ``mission``.
        direction: Whether to observe the compass direction of the agent as well.
        actions: Names of the actions that the agent has, in their order. None: all.
        tile_size: Pixels a side of a cell in "rgb".
        agent_view_size: V, odd. None: the task's, which is 7.
        max_steps: Steps after which an episode is truncated. None: the task's.
        task_settings: Further arguments of the task's class, such as ``{"size": 9}``.
        render_mode: "rgb_array", "human" or None.

    Raises:
        SettingsError: A setting is wrong, or the task cannot be made with it.
    """
    settings = validate(
        MiniGridSettings,
        {
            "task": task,
            "observation": observation,
            "mission": mission,
            "direction": direction,
            "actions": list(actions) if isinstance(actions, tuple) else actions,
            "tile_size": tile_size,
            "agent_view_size": agent_view_size,
            "max_steps": max_steps,
            "task_settings": {} if task_settings is None else task_settings,
        },
        where="MiniGrid",
    )
    env = _make_task(settings, render_mode)
    if settings.actions is not None:
        env = select_actions(env, [Actions[name].value for name in settings.actions])
    return ReportSuccess(_observe(env, settings))


def _make_task(settings: MiniGridSettings, render_mode: str | None) -> gymnasium.Env:
    where = f"MiniGrid: task = {settings.task!r}"
    if settings.task not in gymnasium.registry:
        known = [name for name in gymnasium.registry if re.match("(MiniGrid|BabyAI)-", name)]
        raise SettingsError(f"{where}: {suggest(settings.task, known)}")
    given = {"agent_view_size": settings.agent_view_size, "max_steps": settings.max_steps}
    arguments = {key: value for key, value in given.items() if value is not None} | settings.task_settings
    try:
        env = gymnasium.make(settings.task, disable_env_checker=True, render_mode=render_mode, **arguments)
        if render_mode != "human":  # for which a reset opens a window
            env.reset()  # finds what constructors do not: a size without room for the task, files that are missing
    except Exception as error:  # whatever a task raises
        raise SettingsError(f"{where} cannot be made with {arguments}: {type(error).__name__}: {error}") from error
    # What remains around it enforces order once more; gymnasium.make does so from outside.
    return env.unwrapped


def _observe(env: gymnasium.Env, settings: MiniGridSettings) -> gymnasium.Env:
    if settings.observation == "rgb":
        env = RGBImgPartialObsWrapper(env, tile_size=settings.tile_size)
    space = env.observation_space
    assert isinstance(space, spaces.Dict)
    image, missions = space["image"], space["mission"]
    assert isinstance(image, spaces.Box)
    if settings.observation == "onehot":
        one_hot = OneHotImage(image)
        encoders: dict[str, Any] = {"image": (one_hot.space, one_hot)}
    else:
        encoders = {"image": (image, _as_it_is)}
    if settings.mission != "drop":
        slots = MissionSlots(missions, f"MiniGrid: task = {settings.task!r}")
        if slots.space is not None:
            encoders["mission"] = slots.space, slots
        elif settings.mission == "slots":
            raise SettingsError(
                f"MiniGrid: mission = 'slots': {settings.task} has one mission only; should be 'drop' or 'auto'"
            )
    if settings.direction:
        encoders["direction"] = space["direction"], _as_it_is
    return MiniGridObservation(env, encoders)


def _as_it_is(part: Any) -> Any:
    return part
