"""MLflow: a run per trial, with all of its settings, over environment steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.experiment import Trial

from rllib_recattn.experiment.training.loggers.tensorboard_logger import over_env_steps
from rllib_recattn.experiment.training.trial import trial_directory_name


class MlflowLogger(MLflowLoggerCallback):
    """Tune's MLflow logger, which sees only what the search has chosen, made to log every setting.

    Args:
        settings: Gives a trial's settings: key path → value.
        arguments: Those of ``MLflowLoggerCallback``.
    """

    def __init__(self, settings: Callable[[Trial], dict[str, Any]], **arguments: Any):
        super().__init__(**arguments)
        self._settings = settings
        self._run_ids: dict[str, str] = {}

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration."""
        # Tells at length of the tables that it makes in a new database.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        super().setup(*args, **kwargs)

    def log_trial_start(self, trial: Trial) -> None:
        """Start the run of a trial, or go on with it if the trial is a resumed one."""
        if trial.trial_id not in self._run_ids:
            name = trial_directory_name(trial)
            run = self.mlflow_util.start_run(tags={**self.tags, "trial_id": trial.trial_id}, run_name=name)
            self._run_ids[trial.trial_id] = run.info.run_id
            # Only once: MLflow refuses another value, which population-based training would have.
            self.mlflow_util.log_params(self._settings(trial), run_id=run.info.run_id)
        self._trial_runs[trial] = self._run_ids[trial.trial_id]

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Write an iteration's metrics."""
        super().log_trial_result(iteration, trial, over_env_steps(result))

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed experiment has to know."""
        return {"run_ids": self._run_ids}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with what `get_state` returned."""
        self._run_ids = state["run_ids"]
