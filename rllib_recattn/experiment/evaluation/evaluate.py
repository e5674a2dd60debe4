"""Evaluating a checkpoint: whole episodes in this process, without a Ray cluster."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.utils import force_list

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.evaluation.intervals import Interval, mean_interval, rate_interval
from rllib_recattn.experiment.evaluation.video import VideoRecorder
from rllib_recattn.experiment.training.checkpoint import find_checkpoint, load_config, module_directory

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        seed: What the environment was reset with.
        episode_return: The sum of the rewards.
        length: The number of steps.
        success: Whether it succeeded; None if the environment does not say.
    """

    seed: int
    episode_return: float
    length: int
    success: bool | None


@dataclass(frozen=True)
class EvaluationResult:
    """An evaluation, episode by episode.

    Attributes:
        checkpoint: The checkpoint's directory.
        env: The environment's id, or the name of what makes it.
        env_config: The environment's settings.
        explore: Whether actions were sampled, as in training, rather than the most likely ones taken.
        episodes: The episodes in the order of their seeds.
    """

    checkpoint: Path
    env: str
    env_config: dict[str, Any]
    explore: bool
    episodes: tuple[EpisodeResult, ...]

    @property
    def episode_return(self) -> Interval:
        """The mean return."""
        return mean_interval([episode.episode_return for episode in self.episodes])

    @property
    def length(self) -> Interval:
        """The mean length in steps."""
        return mean_interval([episode.length for episode in self.episodes])

    @property
    def success_rate(self) -> Interval | None:
        """The share of episodes that succeeded; None if the environment never says.

        Where it does, an episode about which it says nothing, as when a wrapper cuts it off, counts as a failure.
        """
        if all(episode.success is None for episode in self.episodes):
            return None
        return rate_interval(sum(bool(episode.success) for episode in self.episodes), len(self.episodes))


def evaluate_checkpoint(
    path: Path,
    *,
    episodes: int,
    seed: int = 0,
    explore: bool = False,
    video: VideoRecorder | None = None,
    on_episode: Callable[[EpisodeResult], object] | None = None,
) -> EvaluationResult:
    """Let a trained agent play, carrying its memory through each episode.

    Episode k is determined by ``seed + k`` alone: the environment and the sampling of actions are seeded with it, and
    what connectors learn from observations does not outlast an episode. So evaluations compare episode by episode.

    Args:
        path: A checkpoint, or a run whose newest checkpoint is taken.
        episodes: How many episodes to play, at least 1.
        seed: The seed of the first episode.
        explore: Whether to sample actions, as in training, rather than to take the most likely ones.
        video: Records the first episodes.
        on_episode: Called after each episode, for instance to show progress.

    Returns:
        The episodes and what follows from them.

    Raises:
        SettingsError: If `path` is no checkpoint or a multi-agent one, or the environment cannot be filmed.
    """
    if episodes < 1:
        raise SettingsError(f"episodes = {episodes}: should be at least 1")
    checkpoint = find_checkpoint(path)
    config = load_config(checkpoint)
    env_config = dict(config.env_config)
    results = []
    # This is a function that others may call: PyTorch's random state is theirs.
    with torch.random.fork_rng():
        env_runner = _restore_env_runner(checkpoint, config)
        # Pickled, since connectors hand out the very objects that they go on to change.
        connectors = pickle.dumps(env_runner.get_state(not_components="rl_module"))
        try:
            if video is not None:
                _film(env_runner, video)
            for index in range(episodes):
                env_runner.set_state(pickle.loads(connectors))
                if video is not None:
                    video.recording = index < video.episodes
                results.append(_play(env_runner, seed + index, explore))
                if on_episode is not None:
                    on_episode(results[-1])
            if video is not None:
                video.save(env_runner.env.metadata.get("render_fps") or 10)
        finally:
            env_runner.stop()
    env = config.env if isinstance(config.env, str) else getattr(config.env, "__name__", repr(config.env))
    return EvaluationResult(checkpoint, env, env_config, explore, tuple(results))


def _restore_env_runner(checkpoint: Path, config: AlgorithmConfig) -> SingleAgentEnvRunner:
    if config.is_multi_agent:
        raise SettingsError(f"checkpoint {str(checkpoint)!r}: multi-agent; only single agents can be evaluated")
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=1, gym_env_vectorize_mode="sync")
    env_runner = SingleAgentEnvRunner(config=config)
    env_runner.restore_from_path(checkpoint / "env_runner")
    env_runner.module.restore_from_path(module_directory(checkpoint))
    return env_runner


def _film(env_runner: SingleAgentEnvRunner, video: VideoRecorder) -> None:
    # The EnvRunner's own config: it has made a deep copy of the one that it was given.
    config = env_runner.config
    if "rgb_array" in (env_runner.env.metadata.get("render_modes") or ()):
        config.environment(env_config={**config.env_config, "render_mode": "rgb_array"})
        env_runner.make_env()
    if env_runner.env.unwrapped.render_mode != "rgb_array":
        raise SettingsError(f"video: the environment {config.env!r} has no render_mode 'rgb_array' to be filmed in")
    config.callbacks(
        on_episode_start=[*force_list(config.callbacks_on_episode_start), video.capture],
        on_episode_step=[*force_list(config.callbacks_on_episode_step), video.capture],
    )


def _play(env_runner: SingleAgentEnvRunner, seed: int, explore: bool) -> EpisodeResult:
    # The EnvRunner resets its environment with this seed whenever it is asked for whole episodes.
    env_runner._seed = seed
    torch.manual_seed(seed)
    (episode,) = env_runner.sample(num_episodes=1, explore=explore)
    env_runner.get_metrics()  # which lets go of the episode: it is kept for metrics until they are read
    success = episode.get_infos(-1).get("success")
    return EpisodeResult(
        seed=seed,
        episode_return=float(episode.get_return()),
        length=len(episode),
        success=None if success is None else bool(success),
    )
