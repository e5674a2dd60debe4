"""TensorBoard's event files, over environment steps."""

from __future__ import annotations

import math
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import TBXLoggerCallback
from ray.tune.result import TIMESTEPS_TOTAL

from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.training.loggers.record_loggers import iteration_gone_on_from
from rllib_recattn.experiment.tune_internals.loggers import purging


def over_env_steps(result: dict[str, Any]) -> dict[str, Any]:
    """Let Tune's loggers count in environment steps: they take the iteration where no timesteps are reported."""
    if not metrics.has_metric(result, metrics.ENV_STEPS):
        return result
    return {**result, TIMESTEPS_TOTAL: int(metrics.metric(result, metrics.ENV_STEPS))}


class TensorBoardLogger(TBXLoggerCallback):
    """Tune's TensorBoard logger with environment steps on the x axis, and in the place of its own."""

    def log_trial_start(self, trial: Trial) -> None:
        """Open the event file of a trial; TensorBoard then leaves out what earlier ones have of iterations to come."""
        last, latest = iteration_gone_on_from(trial), trial.latest_checkpoint_result
        first = None
        if latest is not None and math.isfinite(last):
            first = int(over_env_steps(latest.metrics).get(TIMESTEPS_TOTAL) or last) + 1
        with purging(self, first):
            super().log_trial_start(trial)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Write an iteration's metrics."""
        super().log_trial_result(iteration, trial, over_env_steps(result))
