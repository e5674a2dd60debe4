"""What RLlib's EnvRunner of single agents samples by, and keeps to itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.private_names import private, set_private, wrap

_WHY = "to sample all environments in one batch"


class Sampling:
    """What an EnvRunner keeps between the calls of ``sample()``, and the methods that they are made of.

    Args:
        env_runner: One of RLlib's for single agents.

    Raises:
        MissingNameError: If a name is gone.
    """

    def __init__(self, env_runner: Any):
        self._runner = env_runner
        for name in _VALUES:
            private(env_runner, name, _WHY)
        self.reset_all: Callable[[bool], None] = private(env_runner, "_reset_envs_and_episodes", _WHY)
        self.step_envs: Callable[[Any], Any] = private(env_runner, "_try_env_step", _WHY)
        self.start_new_episode: Callable[[int, list[Any]], None] = private(env_runner, "_new_episode", _WHY)
        self.call_back: Callable[[str, int, list[Any]], None] = private(env_runner, "_make_on_episode_callback", _WHY)
        self._log_env_steps = private(env_runner, "_log_env_steps", _WHY)
        self._increase_metrics = private(env_runner, "_increase_sampled_metrics", _WHY)

    @property
    def needs_reset(self) -> bool:
        """Whether the environments have to be reset before the next step."""
        return bool(self._value("_needs_initial_reset"))

    @needs_reset.setter
    def needs_reset(self, needed: bool) -> None:
        self._set("_needs_initial_reset", needed)

    @property
    def episodes(self) -> list[SingleAgentEpisode]:
        """The episode of each environment."""
        episodes: list[SingleAgentEpisode] = self._value("_ongoing_episodes")
        return episodes

    @episodes.setter
    def episodes(self, episodes: list[SingleAgentEpisode]) -> None:
        self._set("_ongoing_episodes", episodes)

    @property
    def weights_seq_no(self) -> int:
        """The number of the weights."""
        number: int = self._value("_weights_seq_no")
        return number

    @property
    def chunks_for_metrics(self) -> Any:
        """A dict of the sampled chunks of unfinished episodes, by the episodes' ids."""
        return self._value("_ongoing_episodes_for_metrics")

    def take_batch(self) -> dict[str, Any]:
        """Return what the module is to see next, which the EnvRunner then has no longer."""
        batch: dict[str, Any] = self._value("_cached_to_module")
        self._set("_cached_to_module", None)
        return batch

    def put_batch(self, batch: dict[str, Any], episode_ids: list[str]) -> None:
        """Leave what the module is to see next, and which episode each row is of."""
        self._set("_cached_to_module", batch)
        self._value("_shared_data")["memorized_map_structure"] = episode_ids

    def count(self, env_steps: int, done: list[SingleAgentEpisode]) -> None:
        """Log what was sampled."""
        self._value("_done_episodes_for_metrics").extend(done)
        self._log_env_steps(metric=self._value("_metrics_num_env_steps_sampled"), num_steps=env_steps)
        self._increase_metrics(env_steps, len(done))

    def _value(self, name: str) -> Any:
        return private(self._runner, name, _WHY)

    def _set(self, name: str, value: Any) -> None:
        set_private(self._runner, name, value, _WHY)


_VALUES = (
    "_needs_initial_reset",
    "_ongoing_episodes",
    "_weights_seq_no",
    "_ongoing_episodes_for_metrics",
    "_cached_to_module",
    "_shared_data",
    "_done_episodes_for_metrics",
    "_metrics_num_env_steps_sampled",
)


def wrap_sample(env_runner: Any, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put what `wrapper` makes of an EnvRunner's inner method of sampling in its place."""
    wrap(env_runner, "_sample", wrapper, _WHY)


def samples_as_rllib_does(env_runner: Any) -> bool:
    """Whether the class of an EnvRunner for single agents leaves it to RLlib how it samples."""
    return all(
        # Ray wraps the methods of actors, to trace them.
        inspect.unwrap(private(type(env_runner), name, _WHY))
        is inspect.unwrap(private(SingleAgentEnvRunner, name, _WHY))
        for name in ("_sample", "_reset_envs", "_new_episode", "_make_on_episode_callback")
    )


def callbacks_of(env_runner: Any) -> list[Any]:
    """Return the objects whose methods an EnvRunner calls back."""
    callbacks: list[Any] = private(env_runner, "_callbacks", "to see which callbacks there are")
    return callbacks


def forward_without_modes(module: TorchRLModule, explore: bool) -> Callable[..., dict[str, Any]]:
    """Return a module's forward pass for acting, which leaves its mode of training or evaluation to the caller.

    The public methods tell each part of a module its mode, twice a step.
    """
    forward: Callable[..., dict[str, Any]] = private(
        module, "_forward_exploration" if explore else "_forward_inference", _WHY
    )
    return forward


def set_times(episode: SingleAgentEpisode, first_step: float, last_step: float) -> None:
    """Tell an episode when its steps were, in seconds of ``time.perf_counter``."""
    if private(episode, "_start_time", _WHY) is None:
        set_private(episode, "_start_time", first_step, _WHY)
    set_private(episode, "_last_step_time", last_step, _WHY)


def set_last_step(episode: SingleAgentEpisode, observation: Any, infos: Any) -> None:
    """Tell an episode which observation and infos were added last, which it keeps beside the rest."""
    set_private(episode, "_last_added_observation", observation, _WHY)
    set_private(episode, "_last_added_infos", infos, _WHY)
