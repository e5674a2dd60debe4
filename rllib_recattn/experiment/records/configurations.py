"""The configurations of a sweep: its trials that differ in nothing but the seed, and which of them is best."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from rllib_recattn.experiment.definition.schedulers import (
    SCHEDULERS,
    AshaBlock,
    HyperBandBlock,
    MedianBlock,
    Population,
    Scheduler,
)
from rllib_recattn.experiment.definition.search import SEED
from rllib_recattn.experiment.records.measure import Measure, mean, spread
from rllib_recattn.experiment.records.trial_settings import settings_of
from rllib_recattn.experiment.records.trials import TrialRecord


@dataclass(frozen=True)
class Configuration:
    """Trials that were trained alike but for their seed.

    Attributes:
        trials: They, in the order in which they began.
        measure: What they are compared by.
        was_cut: Whether the scheduler ended all of them early, while others trained on.
    """

    trials: tuple[TrialRecord, ...]
    measure: Measure
    was_cut: bool = False

    @property
    def name(self) -> str:
        """The name of its trial, or ``trials 0, 3–5``."""
        if len(self.trials) == 1:
            return self.trials[0].name
        numbers = [int(trial.name.rpartition("_")[2]) for trial in self.trials]
        runs = [list(run) for _, run in groupby(numbers, key=lambda number: number - numbers.index(number))]
        return f"trials {', '.join(str(run[0]) if len(run) == 1 else f'{run[0]}–{run[-1]}' for run in runs)}"

    @cached_property
    def values(self) -> dict[str, float]:
        """Trial → what it is worth; without those that never reported the metric."""
        values = {trial.name: trial.value(self.measure) for trial in self.trials}
        return {name: value for name, value in values.items() if not math.isnan(value)}

    @property
    def mean(self) -> float:
        """The mean over its seeds; NaN if none has a value."""
        return mean(list(self.values.values()))

    @property
    def spread(self) -> float:
        """The standard deviation over its seeds; NaN if fewer than two have a value."""
        return spread(list(self.values.values()))

    @property
    def seeds_text(self) -> str:
        """How many seeds the mean is of: ``3``, or ``2 of 3``."""
        known, count = len(self.values), len(self.trials)
        return f"{count}" if known == count else f"{known} of {count}"

    @property
    def seeds(self) -> list[Any]:
        """The seeds, as far as the search chose them."""
        return [trial.choices[SEED] for trial in self.trials if SEED in trial.choices]

    @cached_property
    def best_trial(self) -> TrialRecord:
        """The trial with the best value, which the checkpoint is of; without any value the first one."""
        return min(self.trials, key=lambda trial: self.measure.order(trial.value(self.measure)))

    @cached_property
    def choices(self) -> dict[str, Any]:
        """Key path → what was chosen for it, the seed apart; of what changed while training, what held at the value."""
        choices = self.best_trial.choices_at(self.measure)
        return {key: value for key, value in choices.items() if key != SEED}

    def mean_of(self, metric: str) -> float:
        """Average the last value of a metric over the seeds that have one."""
        values = (trial.last(metric) for trial in self.trials)
        return mean([value for value in values if not math.isnan(value)])

    def shown_of(self, metric: str) -> float:
        """Return what is shown of a metric beside the value: what goes with the settings that are shown.

        Where settings change while a trial trains, and its best value counts, that is the metric in the iteration of
        this value; otherwise its last value, the mean over seeds.
        """
        if self.is_of_best_iteration:
            return self.best_trial.at_value(metric, self.measure)
        return self.mean_of(metric)

    @property
    def is_of_best_iteration(self) -> bool:
        """Whether what is shown of it is of the iteration of its best value."""
        return self.measure.rank_by == "best" and is_population(self.best_trial.experiment)

    @property
    def rank(self) -> tuple[bool, bool, bool, float, float]:
        """What configurations are sorted by; the best one has the lowest.

        Those without a value come last. Then those that the scheduler ended early in all of their seeds: after the
        same steps it had found them among the worse, and what they were worth there is not compared with what others
        reached later. Then those with a seed that failed before it had a value, which a mean of the others would
        flatter. For the rest, and inside each group, the mean over the seeds decides, and if it is the same, the
        fewer environment steps.
        """
        steps = mean([trial.env_steps for trial in self.trials if not math.isnan(trial.env_steps)])
        lost = any(trial.status == "failed" and trial.name not in self.values for trial in self.trials)
        return math.isnan(self.mean), self.was_cut, lost, self.measure.order(self.mean), steps


def rank_configurations(trials: Sequence[TrialRecord], measure: Measure) -> list[Configuration]:
    """Group the trials of a sweep into configurations.

    Each trial of a population (``pbt``, ``pb2``) is one by itself: what it was trained with is the whole sequence of
    its settings, and settings that are the same in the end say nothing of what was before.

    Args:
        trials: Those of one run.
        measure: What they are compared by.

    Returns:
        The configurations, best first.
    """
    cut = _cut_trials(trials)
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(_key(trial), []).append(trial)
    configurations = [
        Configuration(tuple(group), measure, was_cut=all(trial.name in cut for trial in group))
        for group in groups.values()
    ]
    return sorted(configurations, key=lambda configuration: configuration.rank)


def is_population(experiment: Mapping[str, Any]) -> bool:
    """Say whether an experiment's settings change while its trials train."""
    return _is_scheduled_by(experiment, Population)


def _key(trial: TrialRecord) -> str:
    missing = [key for key in trial.experiment.get("space", {}) if key not in trial.choices]
    if missing or is_population(trial.experiment):
        return trial.name
    settings = {key: value for key, value in settings_of(trial).items() if key != SEED}
    return json.dumps(settings, sort_keys=True, default=str)


def _cut_trials(trials: Sequence[TrialRecord]) -> set[str]:
    """Name those that a scheduler ended before the time that the longest of them had."""
    if not trials or not _is_scheduled_by(trials[0].experiment, AshaBlock, HyperBandBlock, MedianBlock):
        return set()
    time_attr = _scheduler(trials[0].experiment)["time_attr"]
    times = {trial.name: trial.last(time_attr) for trial in trials}
    longest = max((time for time in times.values() if not math.isnan(time)), default=math.nan)
    return {trial.name for trial in trials if trial.status == "stopped early" and times[trial.name] < longest}


def _is_scheduled_by(experiment: Mapping[str, Any], *kinds: type[Scheduler]) -> bool:
    kind = SCHEDULERS.get(_scheduler(experiment).get("name", ""))
    return kind is not None and issubclass(kind, kinds)


def _scheduler(experiment: Mapping[str, Any]) -> Mapping[str, Any]:
    return (experiment.get("tune") or {}).get("scheduler") or {}
