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
from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.records.metrics import ENV_STEPS, ITERATION, RESULT_FILE, last_result, read_history
from rllib_recattn.experiment.records.run_directory import EXPERIMENT_FILE, complete_checkpoints
from rllib_recattn.experiment.records.stop_criteria import stop_criteria

if TYPE_CHECKING:
    import pandas

Status = Literal["finished", "stopped early", "failed", "unfinished"]

_PARAMETERS_FILE = "params.json"
_ERROR_FILE = "error.txt"


@dataclass(frozen=True)
class KeptCheckpoint:
    """A checkpoint of a trial, and what the trial was worth there.

    Attributes:
        path: Where it is.
        iteration: After which iteration it was written; None: it does not say.
        value: What the metric was in that iteration; NaN if that is not known.
        wanted: The iteration that was looked for.
    """

    path: Path
    iteration: int | None
    value: float
    wanted: int

    @property
    def is_exact(self) -> bool:
        """Whether it is the checkpoint that was looked for, and not the one that lies next to it."""
        return self.iteration == self.wanted


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

    def at_value(self, metric: str, measure: Measure) -> float:
        """Return what a metric was in the iteration that `value` is from; NaN if it was not reported there."""
        index = self._index_of(measure)
        values = self._values(metric)
        return math.nan if index is None or values is None else float(values.get(index, math.nan))

    def value(self, measure: Measure) -> float:
        """Return what the trial is worth by a measure; NaN if it never reported the metric."""
        values = self._values(measure.metric)
        return math.nan if values is None else measure.of(values.tolist())

    def choices_at(self, measure: Measure) -> dict[str, Any]:
        """Return the choices that were in force where `value` is from: population-based training changes them."""
        index = self._index_of(measure)
        if index is None:
            return self.choices
        row = self.history.loc[index]
        in_force = {key: row[f"config/{key}"] for key in self.choices if f"config/{key}" in row.index}
        return {**self.choices, **{key: _plain(value) for key, value in in_force.items() if not _is_nan(value)}}

    def position_of(self, measure: Measure) -> int | None:
        """Return the iteration that `value` is from, of a mean the last one; None if there is no value."""
        index = self._index_of(measure)
        return None if index is None else int(self.history[ITERATION][index])

    def checkpoint_of(self, measure: Measure) -> KeptCheckpoint | None:
        """Find the checkpoint of the iteration that `value` is from, or the one next to it that was kept.

        Of iterations in which the value was the same, and of two checkpoints as near, the later one. Checkpoints that
        do not say their iteration come last.

        Returns:
            The checkpoint with the value of its own iteration; None if there is none.
        """
        wanted = self.position_of(measure)
        kept = {path: iteration_of(path) for path in sorted(complete_checkpoints(self.directory))}
        if wanted is None or not kept:
            return None
        equal = self._equal_iterations(measure) or {wanted}
        numbered = {path: iteration for path, iteration in kept.items() if iteration is not None}
        if not numbered:
            return KeptCheckpoint(max(kept, key=lambda path: path.name), None, math.nan, wanted)

        def distance(path: Path) -> tuple[int, int]:
            return min(abs(numbered[path] - iteration) for iteration in equal), -numbered[path]

        path = min(numbered, key=distance)
        iteration = numbered[path]
        if iteration in equal:
            wanted = iteration
        return KeptCheckpoint(path, iteration, self._value_in(measure.metric, iteration), wanted)

    @cached_property
    def _criteria(self) -> tuple[Any, ...]:
        return stop_criteria(self.last_result, self.experiment.get("stop", {})) if self.last_result else ()

    def _values(self, metric: str) -> pandas.Series | None:
        """The values that were reported, by the row of the history; infinity is as good as none."""
        if metric not in self.history or self.history[metric].dtype.kind not in "iuf":
            return None
        values = self.history[metric]
        values = values[values.abs() < math.inf]  # which leaves out NaN as well
        return None if values.empty else values

    def _index_of(self, measure: Measure) -> Any:
        values = self._values(measure.metric)
        if values is None:
            return None
        if measure.rank_by != "best":
            return values.index[-1]
        return values.idxmax() if measure.mode == "max" else values.idxmin()

    def _equal_iterations(self, measure: Measure) -> set[int]:
        """The iterations in which the metric was at its best, if that is what counts."""
        values = self._values(measure.metric)
        if values is None or measure.rank_by != "best":
            return set()
        return set(self.history[ITERATION][values.index[values == self.value(measure)]])

    def _value_in(self, metric: str, iteration: int) -> float:
        values = self._values(metric)
        assert values is not None, "the caller has seen one"
        found = values[self.history[ITERATION][values.index] == iteration]
        return math.nan if found.empty else float(found.iloc[-1])


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
