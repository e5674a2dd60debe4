"""What has become of a run's stop criteria: which are met, and which of them are goals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rllib_recattn.experiment.definition.stop import counts_effort
from rllib_recattn.experiment.records import metrics


@dataclass(frozen=True)
class StopCriterion:
    """One of a run's stop criteria as the last iteration left it.

    Attributes:
        key: The metric's path.
        value: What the metric came to; NaN if it was never reported.
        threshold: The run ends when the value reaches this.
    """

    key: str
    value: float
    threshold: float

    @property
    def is_met(self) -> bool:
        """Whether the value has reached the threshold."""
        return self.value >= self.threshold

    @property
    def is_budget(self) -> bool:
        """Whether the metric only counts effort (steps, iterations, time), so that reaching it solves nothing."""
        return counts_effort(self.key)

    def __str__(self) -> str:
        relation = "≥" if self.is_met else "<"
        return f"{self.key} {_metric_text(self.value)} {relation} {_metric_text(self.threshold)}"


def stop_criteria(result: Mapping[str, Any], stop: Mapping[str, float]) -> tuple[StopCriterion, ...]:
    """Compare a run's last result with its stop criteria."""
    return tuple(StopCriterion(key, metrics.metric(result, key), threshold) for key, threshold in stop.items())


def _metric_text(value: float) -> str:
    if math.isnan(value):
        return "(never reported)"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:,.4g}"
