"""The interquartile mean of scores and its stratified bootstrap interval, as in arXiv 2108.13264 (rliable)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Bounds:
    """The bounds of a 95 % interval."""

    low: float
    high: float


def interquartile_mean(scores: NDArray[np.float64]) -> float:
    """Return the mean of the middle half of scores [runs, …], of all tasks together; a quarter at each end is left out.

    The number that is left out at each end is rounded down, as by ``scipy.stats.trim_mean(scores, 0.25)``.

    Examples:
        >>> round(interquartile_mean(np.array([0.0, 0.7, 0.8, 0.9, 1.0])), 3)
        0.8
    """
    ordered = np.sort(np.ravel(scores))
    cut = int(0.25 * len(ordered))
    return float(ordered[cut : len(ordered) - cut].mean())


def bootstrap_interval(scores: NDArray[np.float64]) -> Bounds:
    """Return the interval of the interquartile mean over the runs, which are drawn again within each task.

    Args:
        scores: Of each run on each task [runs, tasks], or on one task [runs].

    Returns:
        The interval of percentiles; the same scores give the same one.
    """
    scores = scores.reshape(len(scores), -1)
    generator = np.random.default_rng(0)
    runs = generator.integers(len(scores), size=(RESAMPLES, *scores.shape))
    drawn = np.sort(scores[runs, np.arange(scores.shape[1])].reshape(RESAMPLES, -1), axis=1)
    cut = int(0.25 * scores.size)
    return _bounds(drawn[:, cut : scores.size - cut].mean(axis=1))


def probability_interval(table: NDArray[np.int64]) -> Bounds:
    """Return the interval of the probability that a run of one model is better, both models' runs being drawn again.

    Args:
        table: 1, 0 or −1 for each pair of their runs [N_first, N_second].
    """
    generator = np.random.default_rng(0)
    n_first, n_second = table.shape
    first = generator.integers(n_first, size=(RESAMPLES, n_first))
    second = generator.integers(n_second, size=(RESAMPLES, n_second))
    return _bounds((table[first[:, :, None], second[:, None, :]].mean(axis=(1, 2)) + 1) / 2)


def _bounds(drawn: NDArray[np.float64]) -> Bounds:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Bounds(float(low), float(high))
