"""Running an experiment in Ray Tune, one trial or many: reported, interruptible and resumable."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ray.tune.experiment import Trial

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.checkpoints.checkpoint import check_resumable, find_checkpoint, load_config
from rllib_recattn.experiment.cluster.prepare import ready_cluster
from rllib_recattn.experiment.cluster.ray_messages import short_messages
from rllib_recattn.experiment.cluster.ray_session import ray_session, require_resources
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.records.metrics import last_result
from rllib_recattn.experiment.records.run_directory import (
    EXPERIMENT_FILE,
    discard_run_directory,
    new_run_directory,
    newest_checkpoint,
)
from rllib_recattn.experiment.records.run_lock import refuse_training, training_in
from rllib_recattn.experiment.records.trials import read_trials
from rllib_recattn.experiment.reports.sweep_report import read_sweep
from rllib_recattn.experiment.reports.text import path_text, report_console, trials_text
from rllib_recattn.experiment.training.interrupt import (
    exit_code_of_interrupt,
    handle_interrupts,
    interrupt_requested,
    set_time_budget,
)
from rllib_recattn.experiment.training.loggers.trial_loggers import check_services
from rllib_recattn.experiment.training.outcome import (
    report_endless,
    report_failed,
    report_finished,
    report_interrupted,
    report_sweep_end,
    resume_command,
)
from rllib_recattn.experiment.training.progress.sweep_progress import restored_terminal
from rllib_recattn.experiment.training.searchers import number_of_trials
from rllib_recattn.experiment.training.tuner import new_tuner, resumed_tuner, run_callbacks
from rllib_recattn.experiment.training.unreported import UnreportedMetrics, looking_out
from rllib_recattn.experiment.tune_internals.records import trials_of

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


Status = Literal["finished", "interrupted", "failed"]


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        status: ``finished`` by its stop criteria, ``interrupted`` by the user, or ``failed`` with an error, as that
            its stop criteria never come; of several trials, whether any failed.
        run_dir: The run directory; it is gone if an interrupted run had nothing to keep.
        metrics: The last iteration's metrics, nested; of several trials those of the best one of the best
            configuration; empty if there was none.
        checkpoint: The newest checkpoint, of several trials the one that the report on the sweep names, if one was
            saved.
        exit_code: The exit code of a command that did nothing but this run; if it was interrupted, 128 and the number
            of the signal.
    """

    status: Status
    run_dir: Path
    metrics: Mapping[str, Any]
    checkpoint: Path | None
    exit_code: int = field(init=False)

    def __post_init__(self) -> None:
        codes = {"finished": 0, "failed": 1, "interrupted": exit_code_of_interrupt()}
        object.__setattr__(self, "exit_code", codes[self.status])


def run_experiment(
    experiment: Experiment,
    config: AlgorithmConfig,
    *,
    variants: Sequence[AlgorithmConfig] = (),
    resume: Path | None = None,
    ray_num_cpus: int | None = None,
    ray_address: str | None = None,
    ship_package: bool | None = None,
    verbose: int = 0,
) -> RunResult:
    """Train until a stop criterion is met, printing a line per iteration and a summary at the end.

    The run directory is ``<storage_path>/<name>-<timestamp>``, to which ``<storage_path>/<name>`` points. SIGINT and
    SIGTERM end the run after its iteration, with a checkpoint; a second one ends it at once. Several trials train at
    the same time, as many as there are CPUs for.

    Args:
        experiment: What to run.
        config: The algorithm's config, built from `experiment`; for several trials, that of the first variant.
        variants: The configs of other variants, for each of which Ray has to be large enough.
        resume: The directory of an unfinished run to continue, each trial from its newest checkpoint. It goes on with
            the config and the stop criteria that it was started with, whatever `experiment` and `config` say by now.
        ray_num_cpus: How many CPUs Ray offers, if it is not running yet; by default as many as there are.
        ray_address: Of the cluster to train on, ``HOST:PORT`` or ``auto``; None: this machine alone.
        ship_package: Whether this package is sent to the cluster's nodes: always, never, or (None) if one lacks it.
        verbose: Above 0, Ray's own log is shown.

    Returns:
        How the run ended. A trial's error is reported, not raised.

    Raises:
        SettingsError: If Ray has fewer CPUs or GPUs than the config needs, the run directory cannot be made, or the
            run to resume has no checkpoint, or a damaged one, or is still training; if the cluster cannot be reached
            or is not ready; or if a service that results are logged to does not take them.
    """
    file = experiment
    if resume is not None:
        refuse_training(resume)
        experiment = _resumed(resume, experiment)
        check_resumable(resume)
        config = build_config(experiment) if experiment.is_sweep else load_config(find_checkpoint(resume))
        variants = ()
    check_services(experiment)
    console = report_console()
    callbacks = run_callbacks(experiment) if resume is None else []
    run_dir = resume
    unreported = UnreportedMetrics(experiment)
    trials: list[Trial] = []
    held = ExitStack()
    try:
        with held, ray_session(ray_num_cpus, verbose, ray_address):
            if resume is not None:
                held.enter_context(training_in(resume))
            if ray_address is not None:
                for note in ready_cluster(ray_address, experiment, (config, *variants), ship_package, verbose):
                    console.print(f"Note: {note}")
            for variant in (config, *variants):
                require_resources(variant)
            if resume is None:
                run_dir = new_run_directory(experiment.storage_path, experiment.name)
                held.enter_context(training_in(run_dir))
                (run_dir / EXPERIMENT_FILE).write_text(experiment.model_dump_json(indent=2), encoding="utf-8")
                tuner = new_tuner(experiment, config, run_dir, callbacks)
                of_trials = f", {trials_text(number_of_trials(experiment))}," if experiment.is_sweep else ""
                console.print(f"Training {experiment.name}{of_trials} in {path_text(run_dir)}")
            else:
                tuner = resumed_tuner(resume, config)
                console.print(f"Resuming {path_text(resume)}")
            with (
                handle_interrupts(),
                restored_terminal(),
                looking_out(unreported),
                nullcontext() if verbose else short_messages(partial(report_console().print, style="yellow")),
                warnings.catch_warnings(),
            ):
                warnings.filterwarnings("ignore", "Consider boosting PBT")  # by what breaks RLlib's trials
                set_time_budget(experiment.tune.time_budget_s)
                trials = trials_of(tuner.fit())
    except KeyboardInterrupt:
        if run_dir is None:
            raise
    except SettingsError:
        if run_dir is not None and resume is None and not read_trials(run_dir):
            discard_run_directory(run_dir, experiment.name)  # a logger could not begin
        raise
    assert run_dir is not None
    status = _status(trials, number_of_trials(experiment))
    resume_with = resume_command(file, ray_num_cpus, ray_address, ship_package)
    if experiment.is_sweep:
        report_sweep_end(report_console(), file, run_dir, trials, status, resume_with)
        if unreported.endless is not None:
            report_endless(report_console(), unreported.endless)
            status = "failed" if status == "finished" else status
        return _sweep_result(status, run_dir)
    return _reported(status, run_dir, file, trials, resume_with, unreported.endless)


def _reported(
    status: Status, run_dir: Path, file: Experiment, trials: Sequence[Trial], resume_with: str, endless: str | None
) -> RunResult:
    """Say how a run of one trial ended, and return that; `endless` tells of stop criteria that never come."""
    console = report_console()
    result, checkpoint = last_result(run_dir), newest_checkpoint(run_dir)
    if status == "failed":
        report_failed(console, run_dir, checkpoint, _error_of(trials[0]), resume_with)
    elif status == "finished":
        report_finished(console, run_dir, result, checkpoint)
        if endless is not None:
            report_endless(console, endless, file.path, checkpoint)
            status = "failed"
    else:
        report_interrupted(console, file, run_dir, result, checkpoint, resume_with)
    return RunResult(status, run_dir, result, checkpoint)


def _resumed(run_dir: Path, experiment: Experiment) -> Experiment:
    """Return the experiment that a run was started with; the given one if an older version wrote none."""
    path = run_dir / EXPERIMENT_FILE
    return Experiment.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else experiment


def _error_of(trial: Trial) -> Exception:
    return trial.get_pickled_error() or trial.get_error() or RuntimeError(f"{trial.custom_dirname} failed")


def _status(trials: Sequence[Trial], planned: int) -> Status:
    if not trials or not all(trial.is_finished() for trial in trials):
        return "interrupted"
    # After an interrupt Tune calls trials terminated that had not begun; what it wrote before says that they are not.
    left = [trial for trial in trials if trial.status == Trial.TERMINATED and not (trial.last_result or {}).get("done")]
    if interrupt_requested() and (left or len(trials) < planned):
        return "interrupted"
    return "failed" if any(trial.status == Trial.ERROR for trial in trials) else "finished"


def _sweep_result(status: Status, run_dir: Path) -> RunResult:
    best = read_sweep(run_dir).best if any(trial.last_result for trial in read_trials(run_dir)) else None
    if best is None:
        return RunResult(status, run_dir, {}, None)
    kept = best.best_trial.checkpoint_of(best.measure)
    return RunResult(status, run_dir, best.best_trial.last_result, None if kept is None else kept.path)
