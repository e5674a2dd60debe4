"""``result.json`` and ``progress.csv``: a line for each iteration, and no iteration twice.

A trial that goes on from a checkpoint, after an error or in a resumed run, does the iterations again that came after
it. What was written of those is taken out before.

Tune writes both files beside the process that runs the experiment, and copies them to the storage now and then.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback
from ray.tune.result import EXPR_PROGRESS_FILE, EXPR_RESULT_FILE

from rllib_recattn.checkpoint_files import iteration_of
from rllib_recattn.experiment.records.metrics import ITERATION
from rllib_recattn.experiment.tune_internals.bases import LoggerBase
from rllib_recattn.experiment.tune_internals.loggers import open_csv, write_columns


class _KeepsItsFiles(LoggerBase):
    """Goes on with the files that it has written itself, of whose newest lines the storage may know nothing yet.

    Whenever a trial starts again, Tune's loggers put the storage's copy in their place.
    """

    def __init__(self) -> None:
        super().__init__()
        self._written: set[Path] = set()

    def _restore_from_remote(self, file_name: str, trial: Trial) -> None:
        path = Path(trial.local_path, file_name)
        if path not in self._written or not path.exists():
            super()._restore_from_remote(file_name, trial)
        self._written.add(path)


class JsonLogger(_KeepsItsFiles, JsonLoggerCallback):
    """Tune's logger for ``result.json``, which begins after the iteration that a trial goes on from."""

    def log_trial_start(self, trial: Trial) -> None:
        """Open the file of a trial that begins or goes on."""
        super().log_trial_start(trial)
        path = Path(trial.local_path, EXPR_RESULT_FILE)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        last = iteration_gone_on_from(trial)
        kept = [line for line in lines if _is_of_first(line, last)]
        if len(kept) < len(lines):
            path.write_text("".join(kept), encoding="utf-8")


class CsvLogger(_KeepsItsFiles, CSVLoggerCallback):
    """Tune's logger for ``progress.csv``, which begins after the iteration that a trial goes on from.

    Its columns stay those that the file has: Tune takes those of the first new result, whatever the heading says.
    """

    def log_trial_start(self, trial: Trial) -> None:
        """Open the file of a trial that begins or goes on."""
        if not open_csv(self, trial):
            return
        path = Path(trial.local_path, EXPR_PROGRESS_FILE)
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            columns = list(rows.fieldnames or ())
            last = iteration_gone_on_from(trial)
            kept = [row for row in rows if _number(row.get(ITERATION)) <= last]
        with path.open("w", newline="", encoding="utf-8") as file:
            whole = csv.DictWriter(file, columns, extrasaction="ignore")
            whole.writeheader()
            whole.writerows(kept)
        write_columns(self, trial, columns)


def iteration_gone_on_from(trial: Trial) -> float:
    """Return the last iteration that a trial that is about to start does not do again; 0: it begins.

    A trial of population-based training that goes on from another one's checkpoint does none again: infinity.
    """
    latest = trial.latest_checkpoint_result
    if latest is None:
        return 0
    checkpoint = Path(latest.checkpoint.path)
    if checkpoint.parent.name != trial.relative_logdir:
        return math.inf
    return iteration_of(checkpoint) or latest.metrics.get(ITERATION, math.inf)


def _is_of_first(line: str, last: float) -> bool:
    try:
        return _number(json.loads(line).get(ITERATION)) <= last
    except (ValueError, AttributeError):  # half a line, of a process that was killed
        return False


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.inf
