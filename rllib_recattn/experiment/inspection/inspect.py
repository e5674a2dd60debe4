"""Inspecting a checkpoint: an episode, and what the agent remembers of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.core.columns import Columns

from rllib_recattn.algorithms import with_policy
from rllib_recattn.checkpoint_files import reading
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import (
    find_checkpoint,
    is_of_old_stack,
    load_config,
    module_directory,
)
from rllib_recattn.experiment.checkpoints.environment import require_working_env
from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from rllib_recattn.experiment.evaluation.video import Frames
from rllib_recattn.experiment.inspection.counterfactual import Counterfactual, counterfactual, replaced_steps
from rllib_recattn.experiment.inspection.decoding import CueSamples, Decoding
from rllib_recattn.experiment.inspection.memory import MemoryTrace, trace_memory
from rllib_recattn.experiment.inspection.recording import Recording, record
from rllib_recattn.experiment.inspection.replacements import Replacements, Source
from rllib_recattn.experiment.inspection.replay import Replay
from rllib_recattn.experiment.inspection.sensitivity import OutputName, sensitivity
from rllib_recattn.rl_module.algorithms import algorithm_of

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

N_OTHERS = 8
"""Episodes whose observations stand in the place of those of the one that is looked at."""

MAX_STEPS = 256
"""Steps whose outputs are differentiated; of longer episodes these are evenly spread."""

_MIN_PIXELS = 16  # a side; grids of fewer cells, such as MiniGrid's, are codes and no pictures


@dataclass(frozen=True)
class Inspection:
    """An episode of T steps and what the agent remembered of it.

    Attributes:
        checkpoint: The checkpoint's directory.
        env: The environment's id, or the name of what makes it.
        model: The name of the model.
        seed: What the environment was reset with.
        explore: Whether actions were sampled.
        of: What was looked at: the "action" or the "value".
        cue_step: The step of the observation that is to be remembered.
        recording: The episode.
        counterfactual: How far the outputs move if one observation is replaced.
        steps: N steps whose outputs were differentiated.
        sensitivity: Their norms with respect to the observation of each step [N, T]; see
            :func:`~rllib_recattn.experiment.inspection.sensitivity.sensitivity`.
        probabilities: Of Discrete actions [T, A]; None for others.
        entropy: Of the action distribution, in nats [T].
        values: [T]; None if the agent estimates none.
        memory: Gates, attention and the state's size.
        replay_error: The largest difference between the logits of acting and those of reading the episode as a whole.
        decoding: How well the cue can be read from the state; None if there was but one episode.
        frames_per_second: How fast the environment steps when watched.
    """

    checkpoint: Path
    env: str
    model: str
    seed: int
    explore: bool
    of: OutputName
    cue_step: int
    recording: Recording
    counterfactual: Counterfactual
    steps: tuple[int, ...]
    sensitivity: np.ndarray
    probabilities: np.ndarray | None
    entropy: np.ndarray
    values: np.ndarray | None
    memory: MemoryTrace
    replay_error: float
    decoding: Decoding | None
    frames_per_second: float

    def __len__(self) -> int:
        return len(self.recording)

    @property
    def pictures(self) -> list[np.ndarray]:
        """What the episode looked like, [height, width, 3 or 4] or [height, width] each.

        The frames, or observations that are images; none if there are neither.
        """
        if self.recording.frames:
            return self.recording.frames
        return [each for each in self.recording.observations if _is_image(each)]

    @property
    def summary(self) -> str:
        """Say in a sentence which past observation counts most, and what the cue does."""
        found = self.counterfactual
        if len(self) == 1:
            return f"One step: there is nothing to remember ({found.measure} {np.nanmax(found.moved):.2f})"
        observation, step, moved = found.strongest()
        text = (
            f"Of all past observations that of step {observation} counts most: another one in its place moves the "
            f"{self.of} of step {step} by {moved:.2f} ({found.measure})"
        )
        if observation == self.cue_step:
            return text
        of_cue = found.of(self.cue_step)
        most = int(np.nanargmax(of_cue))
        return f"{text}; another cue, at step {self.cue_step}, moves that of step {most} by {of_cue[most]:.2f}"

    @property
    def cue_sensitivity(self) -> np.ndarray:
        """What the outputs of `steps` still owe to the cue [N]."""
        return self.sensitivity[:, self.cue_step]


def inspect_checkpoint(
    path: Path,
    *,
    seed: int = 0,
    explore: bool = False,
    episodes: int = 1,
    cue_step: int = 0,
    of: OutputName = "action",
    replace_with: Source = "episodes",
    n_others: int = N_OTHERS,
    on_progress: Callable[[int], object] | None = None,
) -> Inspection:
    """Let a trained agent play an episode, and work out what it remembered.

    Args:
        path: A checkpoint, or a run whose newest checkpoint is taken.
        seed: The seed of the episode; further ones have the next seeds.
        explore: Whether to sample actions, as in training, rather than to take the most likely ones.
        episodes: How many to play: one to look at, or at least 20, of which all tell how well a probe decodes the cue.
        cue_step: The step of the observation that is to be remembered, from 0.
        of: What to look at, "action" or "value".
        replace_with: What stands in the place of an observation: "episodes": what others showed at its step, where it
            differs, else zeros; "zeros".
        n_others: How many other episodes these are, with the next seeds; those of `episodes` are taken first.
        on_progress: Called after each episode, and after some observations were replaced and some gradients taken,
            with how many of these have been done.

    Raises:
        SettingsError: If `path` is no checkpoint, or not of a single agent with a memory on RLlib's new API stack; or
            the cue's step, the output or the number of episodes do not fit.
    """
    from ray.rllib.core.rl_module.rl_module import RLModule

    checkpoint = find_checkpoint(path)
    config = load_config(checkpoint)
    _check_kind(checkpoint, config)
    require_working_env(checkpoint, config)
    progress = on_progress or (lambda done: None)
    # This is a function that others may call: PyTorch's random state is theirs.
    with torch.random.fork_rng():
        with reading(checkpoint):
            module: Any = RLModule.from_checkpoint(str(module_directory(checkpoint)))
        if not module.is_stateful():
            raise SettingsError(f"checkpoint {str(checkpoint)!r}: this agent has no memory: its network has no state")
        player = NewStackPlayer(checkpoint, config)
        try:
            film, frames_per_second = _film(player)
            recording = record(player, seed, explore, film)
            progress(1)
            if cue_step >= len(recording):
                raise SettingsError(
                    f"--cue-step {cue_step}: should be one of the episode's {len(recording)} steps, at most "
                    f"{len(recording) - 1}"
                )
            samples = CueSamples(cue_step)
            samples.add(recording)
            others: list[Any] = []
            if replace_with == "zeros":
                n_others = 0
            for index in range(1, max(episodes, 1 + n_others)):
                other = record(player, seed + index, explore)
                progress(1)
                if index < episodes:
                    samples.add(other)
                if index <= n_others:
                    others.append(other.batch[Columns.OBS])
            decoding = samples.decode() if episodes > 1 else None
        finally:
            player.stop()
        replay = Replay(module, recording)
        whole = replay.read()
        is_discrete = isinstance(module.action_space, gym.spaces.Discrete)
        replacements = Replacements(recording.batch[Columns.OBS], others, replace_with)
        replaced = replaced_steps(len(recording), max(1, len(others)), cue_step)
        steps = np.unique(np.linspace(0, len(recording) - 1, MAX_STEPS).round().astype(int)).tolist()
        return Inspection(
            checkpoint=checkpoint,
            env=config.env if isinstance(config.env, str) else getattr(config.env, "__name__", repr(config.env)),
            model=_model_name(module),
            seed=seed,
            explore=explore,
            of=of,
            cue_step=cue_step,
            recording=recording,
            counterfactual=counterfactual(replay, of, replaced, replacements, progress),
            steps=tuple(steps),
            sensitivity=sensitivity(replay, of, steps, progress),
            probabilities=recording.logits.softmax(-1).numpy() if is_discrete else None,
            entropy=_entropy(module, recording),
            values=None if whole.values is None else whole.values[0].numpy(force=True),
            memory=trace_memory(replay, of),
            replay_error=float((whole.logits[0].detach() - recording.logits).abs().max()),
            decoding=decoding,
            frames_per_second=frames_per_second,
        )


def _is_image(observation: Any) -> bool:
    return (
        isinstance(observation, np.ndarray)
        and observation.dtype == np.uint8
        and (observation.ndim == 2 or (observation.ndim == 3 and observation.shape[-1] in (3, 4)))
        and min(observation.shape[:2]) >= _MIN_PIXELS
    )


def _check_kind(checkpoint: Path, config: AlgorithmConfig) -> None:
    if is_of_old_stack(checkpoint):
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: of RLlib's old API stack; only agents of the new one can be inspected. "
            "rllib_recattn.convert_checkpoint makes one of it"
        )
    if config.is_multi_agent:
        raise SettingsError(f"checkpoint {str(checkpoint)!r}: of several agents; only single ones can be inspected")
    algorithm = algorithm_of(config, f"checkpoint {str(checkpoint)!r}")
    if not algorithm.has_policy:
        raise SettingsError(
            f"checkpoint {str(checkpoint)!r}: of {algorithm.name}, whose actions have Q-values and no distribution; "
            f"only agents with a policy ({with_policy()}) can be inspected. `rllib evaluate` shows how it plays"
        )


def _film(player: NewStackPlayer) -> tuple[Frames | None, float]:
    film = Frames()
    try:
        return film, player.film(film)
    except SettingsError:  # the environment draws no pictures
        return None, 10.0


def _model_name(module: Any) -> str:
    model_config = module.model_config if isinstance(module.model_config, dict) else vars(module.model_config)
    if "recattn" in model_config:
        return str(model_config["recattn"]["model"]).rpartition(":")[2]
    return "RLlib's LSTM" if model_config.get("use_lstm") else type(module).__name__


def _entropy(module: Any, recording: Recording) -> np.ndarray:
    distribution = module.get_exploration_action_dist_cls().from_logits(recording.logits)
    return np.asarray(distribution.entropy().detach()).reshape(len(recording), -1).sum(-1)
