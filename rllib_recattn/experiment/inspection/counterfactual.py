"""What an agent would have done if it had seen something else at one step, and all else as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection.distance import action_distance, distance_name
from rllib_recattn.experiment.inspection.replacements import Replacements
from rllib_recattn.experiment.inspection.replay import Reading, Replay
from rllib_recattn.experiment.inspection.sensitivity import OutputName

MAX_TOKENS = 1_000_000
"""Steps that are read in all, of all rows: of a longer episode fewer observations are replaced, evenly spread."""

# AGaLiTe at the size of its paper takes about a GiB for them.
_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class Counterfactual:
    """How far the outputs of an episode of T steps move if one observation is replaced.

    Attributes:
        measure: What `moved` is: a distance between distributions of actions, or a difference of values.
        steps: S steps whose observations were replaced, in ascending order.
        moved: Row s, column t: the mean over the replacements of how far the output of step t moved [S, T]; NaN before
            the step that was replaced.
        n_replacements: How many other observations there were for each of `steps`; 0: none that differed, and zeros
            stood there.
    """

    measure: str
    steps: tuple[int, ...]
    moved: np.ndarray
    n_replacements: tuple[int, ...]

    @property
    def is_bounded(self) -> bool:
        """Whether `moved` lies between 0 and 1."""
        return self.measure != VALUE_MEASURE

    def of(self, step: int) -> np.ndarray:
        """Return how far each output moves if the observation of a step is replaced [T]; NaN before it."""
        return self.moved[self.steps.index(step)]

    def strongest(self) -> tuple[int, int, float]:
        """Return the step of the past observation that moves an output most, that output's step, and how far."""
        ages = np.arange(self.moved.shape[1]) - np.asarray(self.steps)[:, None]
        past = np.where(ages > 0, self.moved, -1.0)
        row, step = np.unravel_index(int(past.argmax()), past.shape)
        return self.steps[row], int(step), float(past[row, step])


VALUE_MEASURE = "difference of values"


def replaced_steps(n_steps: int, n_replacements: int, cue_step: int) -> list[int]:
    """Choose the steps whose observations are replaced: all, or as many as `MAX_TOKENS` allows, with the cue's."""
    count = max(1, min(n_steps, MAX_TOKENS // (n_steps * n_replacements)))
    spread = np.linspace(0, n_steps - 1, count).round().astype(int).tolist()
    return sorted({cue_step, *spread})


def counterfactual(
    replay: Replay,
    of: OutputName,
    steps: Sequence[int],
    replacements: Replacements,
    on_steps: Callable[[int], object] | None = None,
) -> Counterfactual:
    """Replay an episode with one observation replaced, for each of some steps.

    Rows of a batch never see each other, so that all replacements are read at once. Whatever else the module reads,
    such as previous actions and rewards, stays as it was.

    Args:
        replay: The episode.
        of: "action": how far the distribution of the actions moves, see
            :func:`~rllib_recattn.experiment.inspection.distance.action_distance`; "value": how far the value does.
        steps: S steps, in ascending order.
        replacements: What stands in the place of their observations.
        on_steps: Called with how many steps have been done since the last time.

    Raises:
        SettingsError: If the module has no such output, or its actions no distance.
    """
    n_steps = len(replay.recording)
    measure = VALUE_MEASURE if of == "value" else distance_name(replay.module.action_space)
    moved = np.full((len(steps), n_steps), np.nan)
    counts = []
    n_rows = max(1, _TOKENS_AT_ONCE // n_steps)
    totals = torch.zeros(len(steps), n_steps, dtype=torch.float64)
    waiting: list[tuple[int, list[Tensor]]] = []  # (the index of a step, what is to stand there)
    for index, step in enumerate(steps):
        observations, are_others = replacements.of(step)
        encoded = [each[0] for each in replay.encode(observations)]
        counts.append(len(encoded[0]) if are_others else 0)
        waiting += [(index, [each[row] for each in encoded]) for row in range(len(encoded[0]))]
        while len(waiting) >= n_rows or (waiting and index == len(steps) - 1):
            now, waiting = waiting[:n_rows], waiting[n_rows:]
            rows = torch.as_tensor([row for row, _ in now])
            inputs = [torch.stack(parts) for parts in zip(*(parts for _, parts in now), strict=True)]
            reading = replay.read_changed([steps[row] for row, _ in now], inputs)
            totals.index_add_(0, rows, _distances(replay, reading, of).cpu())
        if on_steps is not None:
            on_steps(1)
    for index, step in enumerate(steps):
        moved[index, step:] = totals[index, step:] / max(1, counts[index])
    return Counterfactual(measure, tuple(steps), moved, tuple(counts))


def _distances(replay: Replay, reading: Reading, of: OutputName) -> Tensor:
    """Return how far each row is from the first, in which nothing is replaced [R − 1, T]."""
    if of == "value":
        if reading.values is None:
            raise SettingsError("--of value: this agent estimates no values; should be 'action'")
        return (reading.values[1:] - reading.values[:1]).abs().double()
    space: Any = replay.module.action_space
    return action_distance(space, reading.logits[1:], reading.logits[:1])
