"""95 % confidence intervals of what an evaluation measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval.

    Attributes:
        mean: The estimate.
        low: The lower bound; None if one sample was all there was.
        high: The upper bound; None likewise.
    """

    mean: float
    low: float | None
    high: float | None


def mean_interval(samples: Sequence[float]) -> Interval:
    """Estimate a mean, with Student's t interval."""
    from scipy.stats import t as student

    mean = fmean(samples)
    if len(samples) < 2:
        return Interval(mean, None, None)
    standard_error = stdev(samples) / len(samples) ** 0.5
    margin = float(student.ppf((1 + CONFIDENCE) / 2, df=len(samples) - 1)) * standard_error
    return Interval(mean, mean - margin, mean + margin)


def rate_interval(successes: int, trials: int) -> Interval:
    """Estimate a rate, with Wilson's score interval: it stays within [0, 1] and is not empty at 0 and 1."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / trials, float(interval.low), float(interval.high))
