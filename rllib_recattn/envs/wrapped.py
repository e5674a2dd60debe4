"""Any environment with the wrappers that agents often need, all in settings, so that YAML can name them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import gymnasium
from pydantic import Field

from rllib_recattn.envs.imported_env import call, find_creator
from rllib_recattn.envs.memory_wrappers import DelayRewards, Flicker, Noise, Trials
from rllib_recattn.envs.ready_made import ready_made, with_package
from rllib_recattn.envs.wrappers import ReportSuccess, resize_frames, select_actions
from rllib_recattn.errors import Settings, SettingsError, validate
from rllib_recattn.importing import is_import_path


class WrappedSettings(Settings):
    """What can be wrapped, and how; see :func:`make_wrapped`."""

    env: str
    env_settings: dict[str, Any]
    actions: list[int] | None
    frame_size: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    success_from_reward: bool
    delay_rewards: int | Literal["episode"] | None
    noise: float | None
    flicker: float | None
    trials: int | None


def make_wrapped(
    env: str,
    env_settings: Mapping[str, Any] | None = None,
    actions: Sequence[int] | None = None,
    frame_size: Sequence[int] | None = None,
    success_from_reward: bool = False,
    delay_rewards: int | Literal["episode"] | None = None,
    noise: float | None = None,
    flicker: float | None = None,
    trials: int | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env:
    """Make an environment and wrap it.

    Args:
        env: Its id, as ``gymnasium.make`` takes it, ``MiniGrid-MemoryS7-v0`` and the like without their package; or the
            path of a class or of a function that makes one, ``package.module:Name``, which gets its settings as its
            signature asks for.
        env_settings: Its arguments.
        actions: Those of its Discrete actions that the agent has, numbered again in this order. None: all.
        frame_size: [height, width] to which the pictures that it observes are scaled. None: as they come.
        success_from_reward: Whether an episode that terminates with a positive reward is reported as a ``success``.
        delay_rewards: Steps after which the sum of the rewards of these is handed out; "episode": at its end. None: at
            once. See :mod:`rllib_recattn.envs.memory_wrappers` for this and those below.
        noise: Standard deviation of noise on each number that is observed.
        flicker: Probability with which an observation is blank.
        trials: How many episodes in the same task are one.
        render_mode: That of the environment.

    Raises:
        SettingsError: A setting is wrong, the environment cannot be made, or does not suit the wrappers.
    """
    settings = validate(
        WrappedSettings,
        {
            "env": env,
            "env_settings": {} if env_settings is None else env_settings,
            "actions": list(actions) if isinstance(actions, tuple) else actions,
            "frame_size": list(frame_size) if isinstance(frame_size, tuple) else frame_size,
            "success_from_reward": success_from_reward,
            "delay_rewards": delay_rewards,
            "noise": noise,
            "flicker": flicker,
            "trials": trials,
        },
        where="Wrapped",
    )
    try:
        made = _make(settings, render_mode)
    except Exception as error:  # whatever a foreign environment raises
        raise SettingsError(f"Wrapped: env = {env!r} cannot be made with {settings.env_settings}: {error}") from error
    if settings.actions is not None:
        made = select_actions(made, settings.actions)
    if settings.frame_size is not None:
        made = resize_frames(made, *settings.frame_size)
    if settings.success_from_reward:
        made = ReportSuccess(made)
    return _with_memory_wrappers(made, settings)


def _with_memory_wrappers(made: gymnasium.Env, settings: WrappedSettings) -> gymnasium.Env:
    if settings.delay_rewards is not None:
        made = DelayRewards(made, None if settings.delay_rewards == "episode" else settings.delay_rewards)
    if settings.noise is not None:
        made = Noise(made, settings.noise)
    if settings.flicker is not None:
        made = Flicker(made, settings.flicker)
    return made if settings.trials is None else Trials(made, settings.trials)


def _make(settings: WrappedSettings, render_mode: str | None) -> gymnasium.Env:
    if is_import_path(settings.env) and settings.env not in gymnasium.registry:
        made: gymnasium.Env = call(find_creator(settings.env, "env"), dict(settings.env_settings))
        return made
    env, arguments = ready_made(settings.env, settings.env_settings, "env_settings")
    return gymnasium.make(with_package(env), render_mode=render_mode, **arguments)
