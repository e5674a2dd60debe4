"""What trials are compared by: a metric, which way is good, and which of its values stands for a trial."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rllib_recattn.experiment.definition.tune_block import Mode, RankBy
from rllib_recattn.experiment.records.metrics import metric_label

WINDOW = 10
"""Of how many values ``mean_of_last_10`` is the mean; of fewer where there are fewer."""


@dataclass(frozen=True)
class Measure:
    """A number for each trial, and an order among these numbers.

    Attributes:
        metric: The metric.
        mode: Whether a high or a low value is good.
        rank_by: Which of its values stands for a trial.
    """

    metric: str
    mode: Mode = "max"
    rank_by: RankBy = "last"

    def of(self, values: Sequence[float]) -> float:
        """Return what stands for a trial.

        Args:
            values: What it has reported, in order. NaN and infinity are as good as nothing.

        Returns:
            The last value, the mean of the last `WINDOW` ones, or the best; NaN if there is none.
        """
        known = [value for value in values if math.isfinite(value)]
        if not known:
            return math.nan
        if self.rank_by == "last":
            return known[-1]
        if self.rank_by == "mean_of_last_10":
            return statistics.fmean(known[-WINDOW:])
        return max(known) if self.mode == "max" else min(known)

    def order(self, value: float) -> float:
        """Return a number that is lower the better a value is; infinity for NaN."""
        if math.isnan(value):
            return math.inf
        return -value if self.mode == "max" else value

    @property
    def label(self) -> str:
        """What it is called: ``last success rate``."""
        name = metric_label(self.metric)
        return {"last": f"last {name}", "mean_of_last_10": f"{name}, mean of the last {WINDOW}"}.get(
            self.rank_by, f"best {name}"
        )

    @property
    def sentence(self) -> str:
        """How it is said with the metric's full name, as in a file: ``the last env_runners/success_rate``."""
        name = self.metric
        return {"last": f"the last {name}", "mean_of_last_10": f"the mean of the last {WINDOW} {name}"}.get(
            self.rank_by, f"the best {name}"
        )


def mean(values: Sequence[float]) -> float:
    """Average over seeds; NaN if there is no value."""
    return statistics.fmean(values) if values else math.nan


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation over seeds, that of a sample (n − 1); NaN of fewer than two."""
    return statistics.stdev(values) if len(values) > 1 else math.nan
