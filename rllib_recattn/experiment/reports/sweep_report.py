"""What a sweep found, be it finished, still running, or killed: its trials, the best one, and that one as YAML."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.domain import Domain
from rllib_recattn.experiment.definition.search import count_trials
from rllib_recattn.experiment.definition.tune_block import DEFAULT_METRIC
from rllib_recattn.experiment.figures.sweep_figure import plot_sweep
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.metrics import metric_label
from rllib_recattn.experiment.records.run_directory import EXPERIMENT_FILE, SUMMARY_FILE, newest_checkpoint
from rllib_recattn.experiment.records.settings import value_text
from rllib_recattn.experiment.records.trials import Mode, TrialRecord, read_experiment, read_trials
from rllib_recattn.experiment.reports.best_yaml import best_yaml
from rllib_recattn.experiment.reports.text import command_text, number_text, path_text, trials_text
from rllib_recattn.experiment.reports.trial_table import TrialRow, print_table, trial_table

BEST_FILE = "best.yaml"
FIGURE_FILE = "sweep.png"
TRIALS_FILE = "trials.csv"


@dataclass(frozen=True)
class SweepReport:
    """The trials of a sweep, compared by a metric.

    Attributes:
        run_dir: The run directory.
        trials: Its trials, in the order in which they began.
        metric: The metric.
        mode: Whether a high or a low value of it is good.
        planned: How many trials the sweep was to have.
    """

    run_dir: Path
    trials: tuple[TrialRecord, ...]
    metric: str
    mode: Mode
    planned: int

    @cached_property
    def ranking(self) -> list[TrialRecord]:
        """The trials, best first; those that have not reported the metric come last."""
        sign = -1 if self.mode == "max" else 1

        def rank(trial: TrialRecord) -> float:
            value = trial.best(self.metric, self.mode)
            return math.inf if math.isnan(value) else sign * value

        return sorted(self.trials, key=rank)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None while none has reported the metric."""
        first = self.ranking[0]
        return None if math.isnan(first.best(self.metric, self.mode)) else first

    def table(self, console: Console) -> Table:
        """Make the table of the trials, best first, for a console."""
        rows = [self._row(trial) for trial in self.ranking]
        return trial_table(rows, self.metric, self.mode, console, planned=self.planned)

    def write(self, output: Path | None = None) -> list[Path]:
        """Write the trials as CSV, the figure, and the best trial as YAML, as far as there is anything to write.

        Args:
            output: The directory; None: the run directory.

        Returns:
            The files.
        """
        output = output or self.run_dir
        csv = output / TRIALS_FILE
        self._frame().to_csv(csv, index=False)
        files = [csv]
        figure = plot_sweep(self.ranking, self.metric, self.mode, output / FIGURE_FILE, title=self.run_dir.name)
        if figure is not None:
            files.append(figure)
        if self.best is not None and self.best.experiment.get("content"):
            path = output / BEST_FILE
            among = trials_text(len(self.trials), self.planned)
            path.write_text(best_yaml(self.best, self.metric, self.mode, among), encoding="utf-8")
            files.append(path)
        return files

    def text(self, files: list[Path]) -> str:
        """Write for people which trial is best, and where things are.

        Args:
            files: What `write` has written.
        """
        if self.best is None:
            lines = self._why_none_is_best()
            rows = []
        else:
            value = number_text(self.best.best(self.metric, self.mode), 3)
            lines = [f"Best is {self.best.name}: {metric_label(self.metric)} {value}"]
            choices = self.best.choices_at_best(self.metric, self.mode)
            rows = [(key, value_text(value)) for key, value in choices.items()]
            of_best = self.best.checkpoint_at_best(self.metric, self.mode)
            checkpoint = of_best or newest_checkpoint(self.best.directory)
            if checkpoint is not None:
                rows.append(("checkpoint" if of_best else "newest checkpoint", path_text(checkpoint)))
        labels = {TRIALS_FILE: "all trials", FIGURE_FILE: "figure", BEST_FILE: "best as YAML"}
        rows += [(labels[path.name], path_text(path)) for path in files]
        width = max(len(label) for label, _ in rows)
        lines += [f"  {label:<{width}}  {value}" for label, value in rows]
        best = [path for path in files if path.name == BEST_FILE]
        if best:
            command = shlex.join([command_text(), "train", "file", path_text(best[0])])
            lines += ["Train it by itself with:", f"  {command}"]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Give the report as plain data, NaN as None."""
        rows = [self._row(trial) for trial in self.ranking]
        return {
            "name": self.run_dir.name,
            "metric": self.metric,
            "mode": self.mode,
            "planned": self.planned,
            "best": None if self.best is None else self.best.name,
            "statuses": dict(Counter(row.status for row in rows)),
            "trials": [_data(row) for row in rows],
        }

    def write_summary(self, files: list[Path]) -> None:
        """Write ``summary.txt`` and ``summary.json`` into the run directory: the mark of a finished run."""
        (self.run_dir / "summary.txt").write_text(self.text(files) + "\n", encoding="utf-8")
        text = json.dumps(self.data(), indent=2, ensure_ascii=False) + "\n"
        (self.run_dir / SUMMARY_FILE).write_text(text, encoding="utf-8")

    def _why_none_is_best(self) -> list[str]:
        if len(self.trials) < self.planned or any(trial.status == "unfinished" for trial in self.trials):
            return [f"No trial has reported {self.metric} yet."]
        common = (metrics.RETURN, metrics.SUCCESS)
        others = [name for name in common if any(not math.isnan(trial.last(name)) for trial in self.trials)]
        instead = f", or compare by another with --metric, e.g. {others[0]}" if others else ""
        return [
            f"No trial has ever reported {self.metric}.",
            "Metrics of episodes need episodes that end: see that the trials are long enough for that, and that",
            f"tune.metric is what RLlib and the environment report{instead}.",
        ]

    def _row(self, trial: TrialRecord) -> TrialRow:
        return TrialRow(
            name=trial.name,
            choices=trial.choices_at_best(self.metric, self.mode),
            status=trial.status,
            iteration=trial.iterations,
            env_steps=trial.env_steps,
            seconds=trial.last(metrics.SECONDS),
            last=trial.last(self.metric),
            best=trial.best(self.metric, self.mode),
            episode_return=trial.last(metrics.RETURN),
            success_rate=trial.last(metrics.SUCCESS),
        )

    def _frame(self) -> Any:
        import pandas

        rows = [_data(self._row(trial)) for trial in self.ranking]
        return pandas.DataFrame([{**row.pop("choices"), **row} for row in rows])


def read_sweep(run_dir: Path, metric: str | None = None, mode: Mode | None = None) -> SweepReport:
    """Read a sweep from its directory.

    Args:
        run_dir: The run directory.
        metric: The metric by which trials are compared; None: the one that the experiment names.
        mode: Whether a high or a low value is good; None: as the experiment says.

    Returns:
        The report.

    Raises:
        SettingsError: If this is not the directory of a run, no trial has a result, or none reports the metric.
    """
    if not run_dir.is_dir():
        raise SettingsError(f"{str(run_dir)!r}: there is no such directory")
    experiment = read_experiment(run_dir)
    if not experiment:
        raise SettingsError(
            f"{str(run_dir)!r}: should be the directory of a run of `rllib train`, with {EXPERIMENT_FILE} in it"
        )
    tune: Mapping[str, Any] = experiment.get("tune") or {}
    trials = tuple(trial for trial in read_trials(run_dir) if not trial.history.empty or trial.status == "failed")
    if all(trial.history.empty for trial in trials):
        raise SettingsError(f"{str(run_dir)!r}: no trial has a result yet")
    if metric is not None:
        metrics.require_metric(metric, [trial.history for trial in trials], "--metric")
    return SweepReport(
        run_dir=run_dir.resolve(),
        trials=trials,
        metric=metric or tune.get("metric", DEFAULT_METRIC),
        mode=mode or tune.get("mode", "max"),
        planned=_planned(experiment),
    )


def _planned(experiment: Mapping[str, Any]) -> int:
    space = {key: Domain.model_validate(domain) for key, domain in (experiment.get("space") or {}).items()}
    return count_trials(space, (experiment.get("tune") or {}).get("num_samples", 1))


def report_sweep(console: Console, run_dir: Path, *, finished: bool) -> None:
    """Print a sweep's table and what is best, and write its files.

    Args:
        console: Where to print.
        run_dir: The run directory, with at least one result in it.
        finished: Whether all trials are through, so that the run gets its summary, which marks it as finished.
    """
    report = read_sweep(run_dir)
    files = report.write()
    if finished:
        report.write_summary(files)
    console.print()
    print_table(console, report.table(console))
    console.print(report.text(files))


def _data(row: TrialRow) -> dict[str, Any]:
    return {
        "trial": row.name,
        "status": row.status,
        "choices": dict(row.choices),
        "iterations": _finite(row.iteration),
        "env_steps": _finite(row.env_steps),
        "training_time_s": _finite(row.seconds),
        "last": _finite(row.last),
        "best": _finite(row.best),
        "episode_return_mean": _finite(row.episode_return),
        "success_rate": _finite(row.success_rate),
    }


def _finite(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value
