"""Recording episodes of a checkpoint's agent, from which BC and MARWIL learn."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, is_of_old_stack, load_config
from rllib_recattn.experiment.checkpoints.environment import require_working_env
from rllib_recattn.experiment.evaluation.intervals import Interval, mean_interval
from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from rllib_recattn.rl_module.recorded_episodes import ENDING, packed, require_packages, write_rows

_NAME = re.compile(rf"seeds-(\d+)-(\d+){re.escape(ENDING)}")


@dataclass(frozen=True)
class RecordingResult:
    """What was recorded.

    Attributes:
        file: The file that was written.
        episodes: How many episodes are in it.
        steps: How many steps they have.
        longest: The steps of the longest: ``max_seq_len`` of BC has to be larger, by one more for MARWIL.
        episode_return: The mean return.
    """

    file: Path
    episodes: int
    steps: int
    longest: int
    episode_return: Interval


def record_checkpoint(
    path: Path,
    directory: Path,
    *,
    episodes: int,
    seed: int = 0,
    explore: bool = False,
    random_actions: bool = False,
    on_episode: Callable[[], object] | None = None,
) -> RecordingResult:
    """Let a trained agent play, and write its episodes to a file; no Ray is started.

    Episode k is determined by ``seed + k``, as in :func:`~rllib_recattn.experiment.evaluation.evaluate.
    evaluate_checkpoint`. Each episode is in the file once, from its first step to its end.

    Args:
        path: A checkpoint, or a run whose newest checkpoint is taken.
        directory: Where the file goes: ``seeds-0-99.parquet`` for 100 episodes.
        episodes: How many episodes to play, at least 1.
        seed: The seed of the first episode.
        explore: Whether to sample actions, as in training, rather than to take the most likely ones.
        random_actions: Whether to draw actions at random in the place of the agent.
        on_episode: Called after each episode, for instance to show progress.

    Raises:
        SettingsError: If `path` is no checkpoint of a single agent on the new API stack, or the directory has episodes
            of some of these seeds already, which would be there twice.
    """
    checkpoint = find_checkpoint(path)
    if is_of_old_stack(checkpoint):
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: of RLlib's old API stack, whose episodes BC and MARWIL cannot read; "
            "rllib_recattn.convert_checkpoint moves agents to the new one"
        )
    require_packages("record")
    last = seed + episodes - 1
    check_not_recorded(directory, seed, last)
    config = load_config(checkpoint)
    if config.is_multi_agent:
        raise SettingsError(f"checkpoint {str(checkpoint)!r}: of several agents; only single ones can be recorded")
    require_working_env(checkpoint, config)
    rows, returns, lengths = [], [], []
    # This is a function that others may call: PyTorch's random state is theirs.
    with torch.random.fork_rng():
        player = NewStackPlayer(checkpoint, config)
        try:
            for number in range(seed, last + 1):
                episode = player.sample(number, explore, random_actions=random_actions)
                rows.append(packed(episode))
                returns.append(float(episode.get_return()))
                lengths.append(len(episode))
                if on_episode is not None:
                    on_episode()
        finally:
            player.stop()
    file = directory / f"seeds-{seed}-{last}{ENDING}"
    write_rows(rows, file)
    return RecordingResult(file, episodes, sum(lengths), max(lengths), mean_interval(returns))


def check_not_recorded(directory: Path, first: int, last: int) -> None:
    """Refuse to record what is there already.

    Raises:
        SettingsError: If a file has some of the seeds `first` … `last`, or `directory` is no directory.
    """
    if directory.exists() and not directory.is_dir():
        raise SettingsError(f"record: {str(directory)!r} is a file; should be a directory")
    for path in sorted(directory.glob(f"*{ENDING}")) if directory.is_dir() else []:
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) <= last and first <= int(match[2]):
            raise SettingsError(
                f"record: {str(path)!r} has the episodes of seeds {match[1]} to {match[2]} already; should begin with "
                f"another seed, such as --seed {int(match[2]) + 1}, or go to another directory"
            )
