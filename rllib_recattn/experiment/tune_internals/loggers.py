"""What of Tune's loggers is not public."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ray.tune.experiment import Trial

from rllib_recattn.private_names import private, set_private

_CSV = "to leave iterations that are done again out of progress.csv"
_MLFLOW = "to go on with a trial's MLflow run, and to tag it with its settings"
_WANDB = "to end the Weights & Biases runs of trials that were interrupted"


def open_csv(logger: Any, trial: Trial) -> bool:
    """Have a ``CSVLoggerCallback`` open the file of a trial that starts, and say whether there was one before."""
    private(logger, "_setup_trial", _CSV)(trial)
    return bool(private(logger, "_trial_continue", _CSV)[trial])


def write_columns(logger: Any, trial: Trial, columns: Sequence[str]) -> None:
    """Have a ``CSVLoggerCallback`` write these columns of a trial whose file it has opened."""
    file = private(logger, "_trial_files", _CSV)[trial]
    private(logger, "_trial_csv", _CSV)[trial] = csv.DictWriter(file, columns)


@contextmanager
def purging(logger: Any, step: int | None) -> Iterator[None]:
    """Have the event files that a ``TBXLoggerCallback`` opens meanwhile hide what others have from a step on."""
    name, why = "_summary_writer_cls", "to hide iterations that are done again in TensorBoard"
    make = private(logger, name, why)
    if step is not None:
        set_private(logger, name, partial(make, purge_step=step), why)
    try:
        yield
    finally:
        set_private(logger, name, make, why)


def mlflow_runs(logger: Any) -> dict[Trial, str]:
    """Return the ids of the MLflow runs that a ``MLflowLoggerCallback`` writes to."""
    runs: dict[Trial, str] = private(logger, "_trial_runs", _MLFLOW)
    return runs


def mlflow_client(logger: Any) -> Any:
    """Return the client, of MLflow's public API, with which a ``MLflowLoggerCallback`` writes."""
    return private(private(logger, "mlflow_util", _MLFLOW), "_get_client", _MLFLOW)()


def end_wandb_runs(logger: Any) -> None:
    """Have a ``WandbLoggerCallback`` end the runs of all trials that have not ended."""
    for trial in list(private(logger, "_trial_queues", _WANDB)):
        private(logger, "_signal_logging_actor_stop", _WANDB)(trial)


def take_over_files(wrapper: Any, logger: Any) -> None:
    """Let a callback that wraps a logger have the logger's files, which Tune finds by their names."""
    name, why = "_SAVED_FILE_TEMPLATES", "to wrap loggers whose errors training survives"
    set_private(wrapper, name, private(logger, name, why), why)
