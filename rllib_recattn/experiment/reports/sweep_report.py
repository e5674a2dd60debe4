"""What a sweep found, be it finished, still running, or killed: its configurations, and the best one as YAML."""

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
from rllib_recattn.experiment.definition.tune_block import DEFAULT_METRIC, Mode, RankBy
from rllib_recattn.experiment.figures.sweep_figure import plot_sweep
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.configurations import Configuration, rank_configurations
from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.records.metrics import metric_label
from rllib_recattn.experiment.records.run_directory import EXPERIMENT_FILE, SUMMARY_FILE
from rllib_recattn.experiment.records.trial_settings import value_text
from rllib_recattn.experiment.records.trials import TrialRecord, read_experiment, read_trials
from rllib_recattn.experiment.reports.best_yaml import best_yaml
from rllib_recattn.experiment.reports.sweep_data import configurations_data, trials_data, write_csv
from rllib_recattn.experiment.reports.text import command_text, number_text, path_text, trials_text
from rllib_recattn.experiment.reports.trial_table import TrialRow, print_table, trial_table

BEST_FILE = "best.yaml"
CONFIGURATIONS_FILE = "configurations.csv"
FIGURE_FILE = "sweep.png"
TRIALS_FILE = "trials.csv"


@dataclass(frozen=True)
class SweepReport:
    """The configurations of a sweep, compared by a metric.

    Attributes:
        run_dir: The run directory.
        trials: Its trials, in the order in which they began.
        measure: What they are compared by.
        planned: How many trials the sweep was to have.
    """

    run_dir: Path
    trials: tuple[TrialRecord, ...]
    measure: Measure
    planned: int

    @cached_property
    def ranking(self) -> list[Configuration]:
        """The configurations, best first; those that have not reported the metric come last."""
        return rank_configurations(self.trials, self.measure)

    @property
    def best(self) -> Configuration | None:
        """The best configuration; None while none has reported the metric."""
        first = self.ranking[0]
        return None if math.isnan(first.mean) else first

    def table(self, console: Console) -> Table:
        """Make the table of the configurations, best first, for a console."""
        rows = [self._row(configuration) for configuration in self.ranking]
        of_best = any(configuration.is_of_best_iteration for configuration in self.ranking)
        return trial_table(rows, self.measure, console, planned=self.planned, of_best_iteration=of_best)

    def write(self, output: Path | None = None) -> list[Path]:
        """Write the trials as CSV, the figure, and the best configuration as YAML, as far as there is any.

        Where configurations have several seeds, they get a CSV of their own.

        Args:
            output: The directory; None: the run directory.

        Returns:
            The files.
        """
        output = output or self.run_dir
        files = [write_csv(trials_data(self.ranking), output / TRIALS_FILE)]
        if self._has_seeds:
            files.append(write_csv(configurations_data(self.ranking), output / CONFIGURATIONS_FILE))
        figure = plot_sweep(self.ranking, output / FIGURE_FILE, title=self.run_dir.name)
        if figure is not None:
            files.append(figure)
        if self.best is not None and self.best.trials[0].experiment.get("content"):
            path = output / BEST_FILE
            among = trials_text(len(self.trials), self.planned)
            path.write_text(best_yaml(self.best, among), encoding="utf-8")
            files.append(path)
        return files

    def text(self, files: list[Path]) -> str:
        """Write for people which configuration is best, and where things are.

        Args:
            files: What `write` has written.
        """
        if self.best is None:
            lines, rows = self._why_none_is_best(), []
        else:
            lines, rows = [self._verdict(self.best)], self._details(self.best)
        labels = {
            TRIALS_FILE: "all trials",
            CONFIGURATIONS_FILE: "configurations",
            FIGURE_FILE: "figure",
            BEST_FILE: "best as YAML",
        }
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
        return {
            "name": self.run_dir.name,
            "metric": self.measure.metric,
            "mode": self.measure.mode,
            "rank_by": self.measure.rank_by,
            "planned": self.planned,
            "best": None if self.best is None else self.best.best_trial.name,
            "statuses": dict(Counter(trial.status for configuration in self.ranking for trial in configuration.trials)),
            "configurations": configurations_data(self.ranking),
            "trials": trials_data(self.ranking),
        }

    def write_summary(self, files: list[Path]) -> None:
        """Write ``summary.txt`` and ``summary.json`` into the run directory: the mark of a finished run."""
        (self.run_dir / "summary.txt").write_text(self.text(files) + "\n", encoding="utf-8")
        text = json.dumps(self.data(), indent=2, ensure_ascii=False) + "\n"
        (self.run_dir / SUMMARY_FILE).write_text(text, encoding="utf-8")

    def _why_none_is_best(self) -> list[str]:
        if len(self.trials) < self.planned or any(trial.status == "unfinished" for trial in self.trials):
            return [f"No trial has reported {self.measure.metric} yet."]
        common = (metrics.RETURN, metrics.SUCCESS)
        others = [name for name in common if any(not math.isnan(trial.last(name)) for trial in self.trials)]
        instead = f", or compare by another with --metric, e.g. {others[0]}" if others else ""
        return [
            f"No trial has ever reported {self.measure.metric}.",
            "Metrics of episodes need episodes that end: see that the trials are long enough for that, and that",
            f"tune.metric is what RLlib and the environment report{instead}.",
        ]

    def _verdict(self, best: Configuration) -> str:
        value = number_text(best.mean, 3)
        if len(best.values) > 1:
            value += f" ± {number_text(best.spread, 3)}, the mean of {best.seeds_text} seeds"
        elif len(best.trials) > 1:
            value += f", of {best.seeds_text} seeds"
        return f"Best is {best.name}: {self.measure.label} {value}"

    def _details(self, best: Configuration) -> list[tuple[str, str]]:
        rows = [(key, value_text(value)) for key, value in best.choices.items()]
        if len(best.seeds) > 1:
            rows.append(("seeds", ", ".join(map(value_text, best.seeds))))
        kept = best.best_trial.checkpoint_of(self.measure)
        if kept is None:
            return rows
        trial = best.best_trial
        whose = f" of {trial.name}, the best of its seeds" if len(best.trials) > 1 else ""
        if kept.iteration is None:
            return [
                *rows,
                ("newest checkpoint", path_text(kept.path)),
                ("its value", f"of an unknown iteration{whose}"),
            ]
        value = f"{metric_label(self.measure.metric)} {number_text(kept.value, 3)} in iteration {kept.iteration}{whose}"
        if not kept.is_exact:
            value += f"; none was kept of iteration {kept.wanted}"
        return [
            *rows,
            ("checkpoint" if kept.is_exact else "nearest checkpoint", path_text(kept.path)),
            ("its value", value),
        ]

    @property
    def _has_seeds(self) -> bool:
        return any(len(configuration.trials) > 1 for configuration in self.ranking)

    def _row(self, configuration: Configuration) -> TrialRow:
        return TrialRow(
            name=configuration.name,
            choices=configuration.choices,
            statuses=tuple(trial.status for trial in configuration.trials),
            iteration=configuration.shown_of(metrics.ITERATION),
            env_steps=configuration.shown_of(metrics.ENV_STEPS),
            seconds=configuration.shown_of(metrics.SECONDS),
            last=configuration.shown_of(self.measure.metric),
            value=configuration.mean,
            episode_return=configuration.shown_of(metrics.RETURN),
            success_rate=configuration.shown_of(metrics.SUCCESS),
            seeds=configuration.seeds_text if self._has_seeds else "",
            spread=configuration.spread,
            is_best=configuration is self.best,
        )


def read_sweep(
    run_dir: Path, metric: str | None = None, mode: Mode | None = None, rank_by: RankBy | None = None
) -> SweepReport:
    """Read a sweep from its directory.

    Args:
        run_dir: The run directory.
        metric: The metric by which trials are compared; None: the one that the experiment names.
        mode: Whether a high or a low value is good; None: as the experiment says.
        rank_by: Which of its values stands for a trial; None: as the experiment says.

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
        measure=Measure(
            metric or tune.get("metric", DEFAULT_METRIC),
            mode or tune.get("mode", "max"),
            rank_by or tune.get("rank_by", "last"),
        ),
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
