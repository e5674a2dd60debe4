"""Interquartile means of scores, with intervals from a stratified bootstrap.

Source: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (arXiv 2108.13264).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

N_RESAMPLES = 10_000


class Estimate(NamedTuple):
    """An estimate and the interval in which it lies with a probability of 95 %."""

    value: float
    low: float
    high: float


def interquartile_mean(scores: Mapping[object, Sequence[float]]) -> Estimate:
    """Return the mean of the middle half of all scores; of three scores, of which no quarter can be left out, the mean.

    Args:
        scores: Task → the scores of its runs. The bootstrap draws each task's runs again, with replacement, as often as
            the task has runs, so that no task gets another weight.
    """
    from scipy.stats import trim_mean

    generator = np.random.default_rng(0)
    tasks = [np.asarray(task_scores, dtype=float) for task_scores in scores.values()]
    samples = np.concatenate(
        [task[generator.integers(0, len(task), (N_RESAMPLES, len(task)))] for task in tasks], axis=1
    )
    low, high = np.percentile(trim_mean(samples, 0.25, axis=1), [2.5, 97.5])
    return Estimate(float(trim_mean(np.concatenate(tasks), 0.25)), float(low), float(high))
