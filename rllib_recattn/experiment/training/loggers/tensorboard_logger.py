"""TensorBoard's event files, over environment steps."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL

from rllib_recattn.experiment.records import metrics


def over_env_steps(result: dict[str, Any]) -> dict[str, Any]:
    """Let Tune's loggers count in environment steps: they take the iteration where no timesteps are reported."""
    if not metrics.has_metric(result, metrics.ENV_STEPS):
        return result
    return {**result, TIMESTEPS_TOTAL: int(metrics.metric(result, metrics.ENV_STEPS))}


class TensorBoardLogger(TBXLoggerCallback):
    """Tune's TensorBoard logger with environment steps on the x axis, and in the place of its own."""

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Write an iteration's metrics."""
        super().log_trial_result(iteration, trial, over_env_steps(result))
