"""Whether what was seen can still be read from the state: a linear probe over many episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tree
from ray.rllib.core.models.base import ACTOR
from torch import Tensor

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.evaluation.intervals import Interval, rate_interval
from rllib_recattn.experiment.inspection.recording import Recording

MIN_EPISODES = 20

_MAX_CLASSES = 10
_MAX_STEPS = 64
_FOLDS = 5
_RIDGE = 0.1


@dataclass(frozen=True)
class Decoding:
    """How well a probe tells from the state which observation there was at the cue's step.

    Attributes:
        n_classes: How many different observations there were.
        chance: The accuracy of always naming the most frequent one.
        steps: N steps after which the state was probed, from the cue's on.
        n_episodes: How many episodes were as long, for each of these.
        accuracy: The share of episodes told right by a probe that was fitted to others, for each of these.
    """

    n_classes: int
    chance: float
    steps: tuple[int, ...]
    n_episodes: tuple[int, ...]
    accuracy: tuple[Interval, ...]


class CueSamples:
    """States of many episodes, and what each showed at the cue's step.

    Args:
        cue_step: The step.
    """

    def __init__(self, cue_step: int):
        self._cue_step = cue_step
        self._cues: list[bytes] = []
        self._states: list[Tensor] = []

    def add(self, recording: Recording) -> None:
        """Add an episode; one that ended before the cue's step is passed over."""
        if len(recording) > self._cue_step:
            self._cues.append(_bytes(recording.observations[self._cue_step]))
            self._states.append(_flat(recording.states))

    def decode(self) -> Decoding:
        """Fit and test a probe for each step; of long episodes, for steps evenly spread.

        The probe is a ridge regression on the classes, from standardised states, which a step's largest output names.
        Each fifth of the episodes is told by a probe that was fitted to the others.

        Raises:
            SettingsError: If the observations at the cue's step are not a few that recur, as a probe needs them.
        """
        names, labels, counts = np.unique(self._cues, return_inverse=True, return_counts=True)
        if not (2 <= len(names) <= _MAX_CLASSES and counts.min() >= _FOLDS and len(labels) >= MIN_EPISODES):
            raise SettingsError(
                f"--episodes {len(labels)}: at step {self._cue_step} (--cue-step) these showed {len(names)} different "
                f"observations; a probe needs 2 to {_MAX_CLASSES} that recur, each in at least {_FOLDS} episodes"
            )
        longest = max(map(len, self._states))
        candidates = np.unique(np.linspace(self._cue_step, longest - 1, _MAX_STEPS).astype(int)).tolist()
        steps, sizes, intervals = [], [], []
        for step in candidates:
            alive = [index for index, states in enumerate(self._states) if len(states) > step]
            if len(alive) < MIN_EPISODES or np.bincount(labels[alive], minlength=len(names)).min() < _FOLDS:
                break
            states = torch.stack([self._states[index][step] for index in alive]).double()
            n_right = count_told_right(states, torch.as_tensor(labels[alive]))
            steps.append(step)
            sizes.append(len(alive))
            intervals.append(rate_interval(n_right, len(alive)))
        return Decoding(len(names), counts.max() / counts.sum(), tuple(steps), tuple(sizes), tuple(intervals))


def count_told_right(states: Tensor, labels: Tensor) -> int:
    """Return how many of n samples are told right by probes that were fitted to other folds.

    Args:
        states: [n, S].
        labels: Classes [n], integers from 0.
    """
    targets = torch.nn.functional.one_hot(labels).double()
    # Sorted by class, so that each fold has its share of every one.
    fold = torch.empty_like(labels)
    fold[labels.argsort(stable=True)] = torch.arange(len(labels)) % _FOLDS
    n_right = 0
    for held_out in range(_FOLDS):
        is_fitted = fold != held_out
        fitted, others = _standardise(states[is_fitted], states[~is_fitted])
        # In the space of samples: states have more numbers than there are episodes.
        kernel = fitted @ fitted.T
        ridge = _RIDGE * kernel.diagonal().mean().clamp(min=1e-12) * torch.eye(len(kernel), dtype=kernel.dtype)
        mean = targets[is_fitted].mean(0)
        weights = torch.linalg.solve(kernel + ridge, targets[is_fitted] - mean)
        told = (others @ fitted.T @ weights + mean).argmax(-1)
        n_right += int((told == labels[~is_fitted]).sum())
    return n_right


def _standardise(fitted: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    mean = fitted.mean(0)
    # Not `std`, which warns of an agent whose state holds no number.
    std = ((fitted - mean).square().sum(0) / (len(fitted) - 1)).sqrt()
    varies = std > 1e-8
    return ((fitted - mean) / std)[:, varies], ((others - mean) / std)[:, varies]


def _bytes(observation: Any) -> bytes:
    return b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in tree.flatten(observation))


def _flat(states: Any) -> Tensor:
    """Join a nesting of states [T, …] to [T, S]; of actor and critic the actor's."""
    leaves: Sequence[Tensor] = tree.flatten(states.get(ACTOR, states))
    return torch.cat([leaf.flatten(1) for leaf in leaves], dim=-1)
