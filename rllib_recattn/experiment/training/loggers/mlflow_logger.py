"""MLflow: a run per trial, with all of its settings, over environment steps."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.experiment import Trial
from ray.tune.utils import flatten_dict

from rllib_recattn.experiment.training.loggers.mlflow_server import impatient
from rllib_recattn.experiment.training.loggers.tensorboard_logger import over_env_steps
from rllib_recattn.experiment.training.trial import trial_directory_name
from rllib_recattn.experiment.tune_internals.loggers import mlflow_client, mlflow_runs


class MlflowLogger(MLflowLoggerCallback):
    """Tune's MLflow logger, which sees only what the search has chosen, made to log every setting.

    MLflow never changes a parameter. Settings that change while a trial trains are therefore tags, which have the
    newest value, and metrics, which have all.

    Args:
        settings: Gives a trial's settings: key path → value.
        changing: The key paths of those that change while a trial trains.
        arguments: Those of ``MLflowLoggerCallback``.
    """

    def __init__(self, settings: Callable[[Trial], dict[str, Any]], changing: Collection[str] = (), **arguments: Any):
        super().__init__(**arguments)
        self._settings = settings
        self._changing = changing
        self._run_ids: dict[str, str] = {}

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration."""
        # Tells at length of the tables that it makes in a new database.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        with impatient():
            super().setup(*args, **kwargs)

    def log_trial_start(self, trial: Trial) -> None:
        """Start the run of a trial, or go on with it if the trial is a resumed one."""
        with impatient():
            is_new = trial.trial_id not in self._run_ids
            if is_new:
                tags = {**self.tags, "trial_id": trial.trial_id}
                run = self.mlflow_util.start_run(tags=tags, run_name=trial_directory_name(trial))
                self._run_ids[trial.trial_id] = run.info.run_id
            run_id = mlflow_runs(self)[trial] = self._run_ids[trial.trial_id]
            settings = self._settings(trial) if is_new or self._changing else {}
            for name, value in mlflow_params(self._chosen(settings, changing=True)).items():
                mlflow_client(self).set_tag(run_id, name, value)
            if is_new:
                self.mlflow_util.log_params(mlflow_params(self._chosen(settings, changing=False)), run_id=run_id)

    def _chosen(self, settings: dict[str, Any], changing: bool) -> dict[str, Any]:
        return {key: value for key, value in settings.items() if (key in self._changing) == changing}

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """Write an iteration's metrics."""
        if trial not in mlflow_runs(self):
            self.log_trial_start(trial)  # the server was away
        metrics = flatten_dict(over_env_steps(result))
        names = mlflow_names(metrics)
        with impatient():
            super().log_trial_result(iteration, trial, {names[key]: value for key, value in metrics.items()})

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """End the run of a trial."""
        if trial in mlflow_runs(self):
            with impatient():
                super().log_trial_end(trial, failed)

    def get_state(self) -> dict[str, Any]:
        """Return what a resumed experiment has to know."""
        return {"run_ids": self._run_ids}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with what `get_state` returned."""
        self._run_ids = state["run_ids"]


# MLflow's limits: mlflow/utils/validation.py. The store on Windows refuses colons as well.
_LONGEST_NAME = 250
_LONGEST_VALUE = 6000
_INDEX = re.compile(r"\[(\d+)\]")
_REFUSED = re.compile(r"[^\w.\- /]")
# A name is a path to MLflow, and may not lead to another one's file.
_NO_PATH = re.compile(r"^/+|/+$|/(?=/)|(?<![^/])\.{1,2}(?![^/])")


def mlflow_names(names: Iterable[str]) -> dict[str, str]:
    """Give each name one that MLflow takes: ``config.lr[0][1]`` is ``config.lr.0.1``.

    Args:
        names: All that are written side by side.

    Returns:
        Name → MLflow's. No two are the same; those that MLflow takes stay as they are.
    """
    all_names = list(names)
    fitting = {name: _fitting(name) for name in all_names}
    taken = {name for name in all_names if fitting[name] == name}
    for name in all_names:
        if name in taken:
            continue
        if fitting[name] in taken:
            fitting[name] = _told_apart(fitting[name], name)
        taken.add(fitting[name])
    return fitting


def mlflow_params(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write settings, by key path, as MLflow's parameters; values that are too long lose their end."""
    names = mlflow_names(settings)
    return {names[key]: _short_value(str(value)) for key, value in settings.items()}


def _fitting(name: str) -> str:
    fitting = _REFUSED.sub("_", _INDEX.sub(r".\1", name))
    fitting = _NO_PATH.sub("_", fitting) or "_"
    return fitting if len(fitting) <= _LONGEST_NAME else _told_apart(fitting, name)


def _told_apart(fitting: str, name: str) -> str:
    suffix = "-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return fitting[: _LONGEST_NAME - len(suffix)].rstrip("/") + suffix


def _short_value(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
