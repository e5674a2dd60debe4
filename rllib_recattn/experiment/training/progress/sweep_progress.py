"""What a sweep prints while it runs: a live table of its trials in a terminal, lines where there is none."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from rllib_recattn.experiment.definition.search import SEED
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.measure import Measure, mean
from rllib_recattn.experiment.records.stop_criteria import stop_criteria
from rllib_recattn.experiment.records.trial_settings import short_names, value_text
from rllib_recattn.experiment.reports.text import path_text, report_console
from rllib_recattn.experiment.reports.trial_table import TrialRow
from rllib_recattn.experiment.training.progress.live_table import LiveTable, end_live_table
from rllib_recattn.experiment.training.progress.report import IterationLines, error_text, print_error
from rllib_recattn.experiment.training.trial import choices_of, trial_directory_name

_STATUS = {Trial.PENDING: "pending", Trial.RUNNING: "running", Trial.PAUSED: "paused", Trial.ERROR: "failed"}
_MARGIN = 12  # of lines, for a trial's name


class SweepProgress(Callback):
    """Reports on the trials of a sweep.

    Tune pickles its callbacks, so there is no console in here before the run begins; a resumed sweep may have a
    terminal where it had none before.

    Args:
        measure: What trials are compared by.
        is_population: Whether the settings of trials change while they train, so that each stands for itself.
    """

    def __init__(self, measure: Measure, is_population: bool = False):
        self._measure = measure
        self._is_population = is_population

    def setup(self, stop: dict[str, float] | None = None, **info: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration, of a resumed run as well."""
        self._stop = stop or {}
        self._newest: dict[str, dict[str, Any]] = {}
        self._values: dict[str, list[float]] = {}
        self._lines = IterationLines(metrics.SUCCESS in self._stop, _MARGIN)
        self._table = LiveTable(self._measure) if _is_live() else None

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Draw the table again; called after each step of Tune's loop, some ten times a second."""
        if self._table is not None:
            # Those of a resumed sweep are in another order.
            ordered = sorted(trials, key=trial_directory_name)
            self._table.update(lambda: self._marked([self._row(trial) for trial in ordered]))

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say what a trial's choices are, where there is no table to show them."""
        if self._table is None and trial.trial_id not in self._newest:
            choices = choices_of(trial.config)
            short = short_names(list(choices))
            described = ", ".join(f"{short[key]} = {value_text(value)}" for key, value in choices.items())
            report_console().print(f"{trial_directory_name(trial)}: {described or 'begins'}")

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep an iteration's result, and print its line where there is no table."""
        self._newest[trial.trial_id] = result
        self._values.setdefault(trial.trial_id, []).append(metrics.metric(result, self._measure.metric))
        if self._table is None:
            self._lines.print(result, trial_directory_name(trial))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say how a trial ended, where there is no table to show it."""
        if self._table is None:
            report_console().print(f"{trial_directory_name(trial)}: {self._ending(trial)}")

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say that Tune starts a trial again after an error."""
        again = f"{trial_directory_name(trial)}, failure {trial.num_failures}: going on from its newest checkpoint."
        report_console().print(again, style="bold red")
        print_error(report_console(), trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say that a trial failed for good, and where its traceback is; the others go on."""
        where = path_text(Path(trial.local_path, "error.txt"))
        report_console().print(
            f"{trial_directory_name(trial)} failed: {error_text(trial)} (traceback: {where})", style="bold red"
        )

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """Take the table away: the report on the sweep shows the final one."""
        end_live_table()

    def _row(self, trial: Trial) -> TrialRow:
        result = self._result(trial)
        return TrialRow(
            name=trial_directory_name(trial),
            choices=choices_of(trial.config),
            statuses=(self._status(trial),),
            iteration=metrics.metric(result, metrics.ITERATION),
            env_steps=metrics.metric(result, metrics.ENV_STEPS),
            seconds=metrics.metric(result, metrics.SECONDS),
            last=metrics.metric(result, self._measure.metric),
            value=self._value_of(trial),
            episode_return=metrics.metric(result, metrics.RETURN),
            success_rate=metrics.metric(result, metrics.SUCCESS),
        )

    def _marked(self, rows: list[TrialRow]) -> list[TrialRow]:
        """Mark the trials of the configuration that leads: as the report at the end will, of what there is by now."""
        groups: dict[str, list[TrialRow]] = {}
        for row in rows:
            settings = {key: value for key, value in row.choices.items() if key != SEED}
            groups.setdefault(row.name if self._is_population else repr(sorted(settings.items())), []).append(row)
        longest = max((row.iteration for row in rows if not math.isnan(row.iteration)), default=math.nan)

        def rank(group: list[TrialRow]) -> tuple[bool, float]:
            was_cut = all(row.status == "stopped early" and row.iteration < longest for row in group)
            return was_cut, self._measure.order(mean([row.value for row in group if not math.isnan(row.value)]))

        known = [group for group in groups.values() if any(not math.isnan(row.value) for row in group)]
        leading = {row.name for row in min(known, key=rank, default=[])}
        return [replace(row, is_best=row.name in leading) for row in rows]

    def _value_of(self, trial: Trial) -> float:
        value = self._measure.of(self._values.get(trial.trial_id, []))
        # Of a trial of a resumed sweep Tune knows what was before.
        before = (trial.metric_analysis or {}).get(self._measure.metric, {})
        if self._measure.rank_by == "best":
            return self._measure.of([before.get(self._measure.mode, math.nan), value])
        earlier = before.get({"last": "last", "mean_of_last_10": "last-10-avg"}[self._measure.rank_by], math.nan)
        return earlier if math.isnan(value) else value

    def _result(self, trial: Trial) -> dict[str, Any]:
        # A trial of a resumed sweep has results from before.
        return self._newest.get(trial.trial_id) or trial.last_result or {}

    def _status(self, trial: Trial) -> str:
        return _STATUS.get(trial.status) or self._ending(trial)

    def _ending(self, trial: Trial) -> str:
        is_met = any(criterion.is_met for criterion in stop_criteria(self._result(trial), self._stop))
        return "finished" if is_met or not self._stop else "stopped early"


@contextmanager
def restored_terminal() -> Iterator[None]:
    """End the live table when the body ends, however it does."""
    try:
        yield
    finally:
        end_live_table()


def _is_live() -> bool:
    return report_console().is_interactive and not os.environ.get("CI")
