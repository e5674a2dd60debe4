"""The Tuner of an experiment: what Ray Tune is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune import Callback

from rllib_recattn.experiment.definition.schedulers import Population
from rllib_recattn.experiment.definition.searchers import RandomSearcher
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.records.run_directory import EXPERIMENT_FILE
from rllib_recattn.experiment.training.interrupt import EndWhenPaused
from rllib_recattn.experiment.training.loggers.trial_loggers import logger_callbacks
from rllib_recattn.experiment.training.progress.report import FaultReport, ProgressReport
from rllib_recattn.experiment.training.progress.sweep_progress import SweepProgress
from rllib_recattn.experiment.training.progress.waiting_report import WaitingReport
from rllib_recattn.experiment.training.schedulers import make_scheduler
from rllib_recattn.experiment.training.searchers import make_searcher, tune_samples, tune_space
from rllib_recattn.experiment.training.trial import EXPERIMENT_KEY, trial_class, trial_directory_name

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


def run_callbacks(experiment: Experiment) -> list[Callback]:
    """Make what follows a run: its report and its loggers."""
    return [_progress(experiment), FaultReport(), WaitingReport(), EndWhenPaused(), *logger_callbacks(experiment)]


def new_tuner(
    experiment: Experiment, config: AlgorithmConfig, run_dir: Path, callbacks: Sequence[Callback]
) -> tune.Tuner:
    """Make the Tuner of a new run.

    Args:
        experiment: What to run.
        config: The config of the one trial; of several trials each builds its own.
        run_dir: The run directory, with the experiment in it.
        callbacks: What follows the run.
    """
    assert config.algo_class is not None
    checkpoint = experiment.checkpoint
    return tune.Tuner(
        trial_class(config.algo_class),
        param_space={**tune_space(experiment), EXPERIMENT_KEY: str(run_dir / EXPERIMENT_FILE)}
        if experiment.is_sweep
        else config,
        tune_config=_tune_config(experiment),
        run_config=tune.RunConfig(
            name=run_dir.name,
            storage_path=str(run_dir.parent),
            stop=dict(experiment.stop),
            callbacks=list(callbacks),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=checkpoint.frequency,
                checkpoint_at_end=checkpoint.at_end,
                num_to_keep=checkpoint.num_to_keep,
            ),
            failure_config=tune.FailureConfig(max_failures=experiment.max_failures),
            verbose=0,
        ),
    )


def resumed_tuner(run_dir: Path, config: AlgorithmConfig) -> tune.Tuner:
    """Make the Tuner that goes on with the run in a directory, also with its trials that failed."""
    assert config.algo_class is not None
    return tune.Tuner.restore(str(run_dir), trainable=trial_class(config.algo_class), resume_errored=True)


def _tune_config(experiment: Experiment) -> tune.TuneConfig:
    block = experiment.tune
    of_sweeps: dict[str, Any] = {}
    if experiment.is_sweep:
        is_random = isinstance(block.search_alg, RandomSearcher)
        of_sweeps = {
            "metric": block.metric,
            "mode": block.mode,
            "num_samples": tune_samples(experiment),
            "search_alg": make_searcher(experiment),
            # The searcher for random choices limits itself.
            "max_concurrent_trials": None if is_random else block.max_concurrent_trials,
        }
    return tune.TuneConfig(
        scheduler=make_scheduler(experiment),
        trial_dirname_creator=trial_directory_name,
        **of_sweeps,
    )


def _progress(experiment: Experiment) -> Callback:
    if not experiment.is_sweep:
        return ProgressReport()
    tune_block = experiment.tune
    measure = Measure(tune_block.metric, tune_block.mode, tune_block.rank_by)
    return SweepProgress(measure, isinstance(tune_block.scheduler, Population))
