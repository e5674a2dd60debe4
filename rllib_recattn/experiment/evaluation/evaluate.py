"""Evaluating a checkpoint: whole episodes in this process, without a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, is_of_old_stack, load_config
from rllib_recattn.experiment.checkpoints.environment import name_of_env, require_working_env
from rllib_recattn.experiment.evaluation.episode import EpisodeResult
from rllib_recattn.experiment.evaluation.intervals import Interval, mean_interval, rate_interval
from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from rllib_recattn.experiment.evaluation.video import VideoRecorder

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from rllib_recattn.experiment.evaluation.old_stack import OldStackPlayer


@dataclass(frozen=True)
class EvaluationResult:
    """An evaluation, episode by episode.

    Attributes:
        checkpoint: The checkpoint's directory.
        env: The environment's id, or the name of what makes it.
        env_config: The environment's settings.
        explore: Whether actions were sampled, as in training, rather than the most likely ones taken.
        episodes: The episodes in the order of their seeds.
        no_video: Why there is no video; None: there is one, or none was asked for.
    """

    checkpoint: Path
    env: str
    env_config: dict[str, Any]
    explore: bool
    episodes: tuple[EpisodeResult, ...]
    no_video: str | None = None

    @property
    def episode_return(self) -> Interval:
        """The mean return."""
        return mean_interval([episode.episode_return for episode in self.episodes])

    @property
    def agent_returns(self) -> dict[str, Interval]:
        """The mean return of each agent, where there are several."""
        return _mean_intervals([episode.agent_returns for episode in self.episodes])

    @property
    def policy_returns(self) -> dict[str, Interval]:
        """The mean return of each policy, where there are several agents."""
        return _mean_intervals([episode.policy_returns for episode in self.episodes])

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
        video: Records the first episodes, if the environment can be drawn.
        on_episode: Called after each episode, for instance to show progress.

    Returns:
        The episodes and what follows from them.

    Raises:
        SettingsError: If `path` is no checkpoint, or one of several agents on the old API stack, or the environment
            cannot be made, reset or stepped.
    """
    if episodes < 1:
        raise SettingsError(f"episodes = {episodes}: should be at least 1")
    checkpoint = find_checkpoint(path)
    config = load_config(checkpoint)
    env_config = dict(config.env_config)
    results = []
    require_working_env(checkpoint, config)
    # This is a function that others may call: PyTorch's random state is theirs.
    with torch.random.fork_rng():
        player = _player(checkpoint, config)
        frames_per_second, no_video = 0.0, None
        try:
            if video is not None:
                try:
                    frames_per_second = player.film(video)
                except SettingsError as error:
                    video, no_video = None, str(error).removeprefix("video: ")
            for index in range(episodes):
                if video is not None:
                    video.recording = index < video.episodes
                results.append(player.play(seed + index, explore))
                if on_episode is not None:
                    on_episode(results[-1])
            if video is not None and video.problem is None:
                video.save(frames_per_second)
            elif video is not None:
                no_video = video.problem
        finally:
            player.stop()
    return EvaluationResult(checkpoint, name_of_env(config), env_config, explore, tuple(results), no_video)


def _player(checkpoint: Path, config: AlgorithmConfig) -> NewStackPlayer | OldStackPlayer:
    if config.is_multi_agent and is_of_old_stack(checkpoint):
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: of several agents on RLlib's old API stack; only those on the new one "
            "can be evaluated"
        )
    if is_of_old_stack(checkpoint):
        # A later Ray may no longer have what this imports.
        from rllib_recattn.experiment.evaluation.old_stack import OldStackPlayer

        return OldStackPlayer(checkpoint, config)
    return NewStackPlayer(checkpoint, config)


def _mean_intervals(returns: Sequence[Mapping[str, float]]) -> dict[str, Interval]:
    """Average what stands under each name, over the episodes in which it does."""
    names = sorted({name for each in returns for name in each})
    return {name: mean_interval([each[name] for each in returns if name in each]) for name in names}
