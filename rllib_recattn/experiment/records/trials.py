"""The trials of a run as they lie in its directory: choices, history and status, of unfinished and killed ones too."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rllib_recattn.checkpoint_files import iteration_of
from rllib_recattn.experiment.records.metrics import ENV_STEPS, ITERATION, RESULT_FILE, last_result, read_history
from rllib_recattn.experiment.records.run_directory import EXPERIMENT_FILE, complete_checkpoints
from rllib_recattn.experiment.records.stop_criteria import stop_criteria

if TYPE_CHECKING:
    import pandas

Mode = Literal["max", "min"]
Status = Literal["finished", "stopped early", "failed", "unfinished"]

_PARAMETERS_FILE = "params.json"
_ERROR_FILE = "error.txt"


@dataclass(frozen=True)
class TrialRecord:
    """A trial and what it has reported so far.

    Attributes:
        directory: Where Tune keeps it.
        experiment: What ``experiment.json`` in the run directory says; empty if there is none.
    """

    directory: Path
    experiment: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of its directory, ``trial_00000``."""
        return self.directory.name

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """What Tune passed to it; empty if that is not written there."""
        return _read_json(self.directory / _PARAMETERS_FILE)

    @property
    def choices(self) -> dict[str, Any]:
        """Key path → the value that the search chose for it; where it changed while training, the newest one."""
        return {key: self.parameters[key] for key in self.experiment.get("space", {}) if key in self.parameters}

    @cached_property
    def history(self) -> pandas.DataFrame:
        """One row per iteration, with nested keys joined by ``/``; empty if there is no result yet."""
        return read_history(self.directory)

    @cached_property
    def last_result(self) -> dict[str, Any]:
        """The metrics of the last iteration, nested; empty if there is none."""
        return last_result(self.directory)

    @cached_property
    def reached_goal(self) -> bool:
        """Whether it ended by a stop criterion that is a goal, such as a success rate, and not a budget."""
        return any(criterion.is_met and not criterion.is_budget for criterion in self._criteria)

    @cached_property
    def status(self) -> Status:
        """How it ended: by its stop criteria, by the scheduler, with an error, or not yet."""
        if self.last_result.get("done"):
            is_met = not self._criteria or any(criterion.is_met for criterion in self._criteria)
            return "finished" if is_met else "stopped early"
        error, result = self.directory / _ERROR_FILE, self.directory / RESULT_FILE
        # A trial that went on after an error has reported something since.
        if error.is_file() and error.stat().st_mtime >= result.stat().st_mtime:
            return "failed"
        return "unfinished"

    @property
    def iterations(self) -> float:
        """How many iterations it has trained; NaN before the first."""
        return self.last(ITERATION)

    @property
    def env_steps(self) -> float:
        """How many environment steps it has sampled; NaN before the first iteration."""
        return self.last(ENV_STEPS)

    def last(self, metric: str) -> float:
        """Return the last value that was reported of a metric; NaN if there is none."""
        values = self._values(metric)
        return math.nan if values is None else float(values.iloc[-1])

    def best(self, metric: str, mode: Mode) -> float:
        """Return the best value of a metric; NaN if there is none."""
        values = self._values(metric)
        return math.nan if values is None else float(values.max() if mode == "max" else values.min())

    def choices_at_best(self, metric: str, mode: Mode) -> dict[str, Any]:
        """Return the choices that were in force when a metric was best: population-based training changes them."""
        values = self._values(metric)
        if values is None:
            return self.choices
        row = self.history.loc[values.idxmax() if mode == "max" else values.idxmin()]
        in_force = {key: row[f"config/{key}"] for key in self.choices if f"config/{key}" in row.index}
        return {**self.choices, **{key: _plain(value) for key, value in in_force.items() if not _is_nan(value)}}

    def checkpoint_at_best(self, metric: str, mode: Mode) -> Path | None:
        """Find the checkpoint of an iteration in which a metric was best, if it was kept; of several the newest."""
        values = self._values(metric)
        if values is None:
            return None
        iterations = set(self.history[ITERATION][values.index[values == self.best(metric, mode)]])
        kept = [path for path in complete_checkpoints(self.directory) if iteration_of(path) in iterations]
        return max(kept, key=lambda path: path.name, default=None)

    @cached_property
    def _criteria(self) -> tuple[Any, ...]:
        return stop_criteria(self.last_result, self.experiment.get("stop", {})) if self.last_result else ()

    def _values(self, metric: str) -> pandas.Series | None:
        if metric not in self.history or self.history[metric].dtype.kind not in "iuf":
            return None
        values = self.history[metric].dropna()
        return None if values.empty else values


def read_trials(directory: Path) -> list[TrialRecord]:
    """Find the trials in the directory of a run, or the one whose directory it is.

    Returns:
        The trials in the order in which they began; those that never began have no directory.
    """
    if (directory / RESULT_FILE).is_file():
        return [TrialRecord(directory, read_experiment(directory.parent))]
    experiment = read_experiment(directory)
    return [TrialRecord(path.parent, experiment) for path in sorted(directory.glob(f"*/{RESULT_FILE}"))]


def read_experiment(run_dir: Path) -> dict[str, Any]:
    """Read what a run was asked to do, as plain data; empty if that is not written there."""
    return _read_json(run_dir / EXPERIMENT_FILE)


def flatten(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """List what is in nested mappings: key path, its parts joined by dots, and value."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from flatten(f"{key}.{name}", item)
    else:
        yield key, value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, or cut short when the process was killed
        return {}
    return data if isinstance(data, dict) else {}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
