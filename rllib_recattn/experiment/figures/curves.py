"""Learning curves as numbers: one per trial, and the mean of several with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.trials import TrialRecord

if TYPE_CHECKING:
    import numpy as np

XAxis = Literal["env_steps", "time"]

X_METRICS: dict[XAxis, str] = {"env_steps": metrics.ENV_STEPS, "time": metrics.SECONDS}

CONFIDENCE = 0.95
_POINTS = 200
_RESAMPLES = 1000


@dataclass(frozen=True)
class Curve:
    """A metric of one trial.

    Attributes:
        x: Environment steps or seconds of training, rising.
        y: The metric there.
        holds: Whether the trial ended by reaching its goal, so that its last value stands for all that follows.
    """

    x: np.ndarray
    y: np.ndarray
    holds: bool = False


@dataclass(frozen=True)
class MeanCurve:
    """The mean of several curves and its interval.

    Attributes:
        x: Where.
        mean: The mean.
        low: The lower bound of the 95 % bootstrap interval.
        high: The upper bound.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def curve_of(trial: TrialRecord, metric: str, x: XAxis = "env_steps") -> Curve | None:
    """Take a metric's curve from a trial's history; None if the metric was never reported."""
    history = trial.history
    if metric not in history or history[metric].dtype.kind not in "iuf":
        return None
    seen = history[history[metric].notna() & history[X_METRICS[x]].notna()]
    if seen.empty:
        return None
    return Curve(seen[X_METRICS[x]].to_numpy(float), seen[metric].to_numpy(float), holds=trial.reached_goal)


def mean_curve(curves: Sequence[Curve]) -> MeanCurve:
    """Average curves over seeds.

    It begins where all of them have begun, and ends with the first that ended, but for those that had reached their
    goal: these count with their last value as long as others go on.

    Args:
        curves: Two or more. Between their points they are interpolated.

    Returns:
        The mean, and its percentile bootstrap interval over the curves; the same curves give the same interval.
    """
    import numpy as np

    begin = max(curve.x[0] for curve in curves)
    ends = [curve.x[-1] for curve in curves if not curve.holds]
    end = max(begin, min(ends) if ends else max(curve.x[-1] for curve in curves))
    x = np.linspace(begin, end, _POINTS)
    values = np.stack([np.interp(x, curve.x, curve.y) for curve in curves])
    resamples = np.random.default_rng(0).integers(len(curves), size=(_RESAMPLES, len(curves)))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values[resamples].mean(axis=1), [tail, 100 - tail], axis=0)
    return MeanCurve(x, values.mean(axis=0), low, high)
