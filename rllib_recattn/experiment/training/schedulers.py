"""Ray Tune's trial schedulers, as an experiment describes them. Each can be interrupted and resumed.

Tune resumes an experiment with a scheduler that knows nothing of what was before. These are told the results that
resumed trials have reported by then, so that they go on to decide as they would have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
)
from ray.tune.schedulers.pb2 import PB2
from ray.tune.utils import flatten_dict

from rllib_recattn.experiment.definition import schedulers as blocks
from rllib_recattn.experiment.definition.domain import Domain
from rllib_recattn.experiment.definition.search import SEED
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.records.metrics import read_results
from rllib_recattn.experiment.training.interrupt import PauseOnInterrupt
from rllib_recattn.experiment.training.resumed_trials import end_if_through
from rllib_recattn.experiment.training.searchers import tune_domain
from rllib_recattn.experiment.tune_internals.schedulers import (
    begin_population_member,
    bracket_of,
    metric_of,
    results_of,
    score,
    time_attribute,
)


class _Resumable(PauseOnInterrupt):
    """Base of all: hears of results that were before, and of none in which no episode has ended."""

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take up a trial, with what it has reported if it is resumed."""
        super().on_trial_add(tune_controller, trial)
        if not trial.relative_logdir:  # it is new, and has no directory yet
            return
        for result in read_results(Path(trial.storage.trial_fs_path)):
            flat = self._valid(flatten_dict(result))
            if time_attribute(self) in flat and metric_of(self) in flat:
                self._remember(trial, flat)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide what a trial does after an iteration."""
        return super().on_trial_result(tune_controller, trial, self._valid(result))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Hear that a trial is through."""
        super().on_trial_complete(tune_controller, trial, self._valid(result))

    def _valid(self, result: dict[str, Any]) -> dict[str, Any]:
        """Leave out the metric where it is no number: all of the schedulers know what to do without it."""
        metric = metric_of(self)
        value = result.get(metric)
        if value is None or math.isfinite(value):
            return result
        return {key: value for key, value in result.items() if key != metric}

    def _remember(self, trial: Trial, result: dict[str, Any]) -> None:
        """Take in a result of a trial before it was resumed."""


class Asha(_Resumable, AsyncHyperBandScheduler):
    """Asynchronous successive halving."""

    def _remember(self, trial: Trial, result: dict[str, Any]) -> None:
        value = score(self, result[metric_of(self)])
        bracket_of(self, trial).on_result(trial, result[time_attribute(self)], value)


class HyperBand(_Resumable, HyperBandScheduler):
    """Synchronous successive halving."""

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take up a trial, unless it is through: the others of its bracket would wait for it forever."""
        end_if_through(tune_controller, trial)
        if not trial.is_finished():
            super().on_trial_add(tune_controller, trial)

    def _valid(self, result: dict[str, Any]) -> dict[str, Any]:
        """Give a trial that has no result the worst one: this scheduler has to rank it."""
        valid = super()._valid(result)
        metric = metric_of(self)
        return valid if metric in valid else {**valid, metric: score(self, 1) * -math.inf}


class Median(_Resumable, MedianStoppingRule):
    """The median stopping rule."""

    def _remember(self, trial: Trial, result: dict[str, Any]) -> None:
        results_of(self, trial).append(result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Hear that a trial is through; a last result without the metric says nothing."""
        if metric_of(self) in self._valid(result):
            super().on_trial_complete(tune_controller, trial, result)


class _Population(_Resumable):
    def _remember(self, trial: Trial, result: dict[str, Any]) -> None:
        begin_population_member(self, trial, result[time_attribute(self)])

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the config of a trial that goes on from another one's checkpoint: its seed stays, with its data."""
        config, operations = super()._get_new_config(trial, trial_to_clone)
        return (config | {SEED: trial.config[SEED]} if SEED in trial.config else config), operations


class Pbt(_Population, PopulationBasedTraining):
    """Population-based training."""


class Pb2(_Population, PB2):
    """Population-based bandits."""


class WithinBounds:
    """Keeps what population-based training changes inside the search domains: it multiplies without looking.

    Args:
        space: Key path → domain.
    """

    def __init__(self, space: Mapping[str, Domain]):
        self._ranges = {key_path: domain for key_path, domain in space.items() if not domain.is_categorical}

    def __call__(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return the choices of a trial, each inside its range."""
        return {**config, **{key_path: domain.near(config[key_path]) for key_path, domain in self._ranges.items()}}


def make_scheduler(experiment: Experiment) -> FIFOScheduler:
    """Make the scheduler of an experiment; Tune tells it the metric."""
    block = experiment.tune.scheduler
    arguments = block.model_dump(exclude={"name"})
    if isinstance(block, blocks.FifoBlock):
        return PauseOnInterrupt()
    if isinstance(block, blocks.Population):
        space = {key_path: domain for key_path, domain in experiment.space.items() if key_path != SEED}
        arguments |= {"require_attrs": False, "custom_explore_fn": WithinBounds(space)}
        if isinstance(block, blocks.Pb2Block):
            bounds = {key_path: list(domain.bounds) for key_path, domain in space.items()}
            return Pb2(**arguments, hyperparam_bounds=bounds)
        mutations = {
            key_path: domain.labels if domain.is_categorical else tune_domain(domain)
            for key_path, domain in space.items()
        }
        return Pbt(**arguments, hyperparam_mutations=mutations)
    classes: dict[type[blocks.Scheduler], type[FIFOScheduler]] = {
        blocks.AshaBlock: Asha,
        blocks.HyperBandBlock: HyperBand,
        blocks.MedianBlock: Median,
    }
    return classes[type(block)](**arguments)
