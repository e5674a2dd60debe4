"""Running an experiment: one trial in Ray Tune, reported, interruptible and resumable."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ray import tune
from rich.console import Console

from rllib_recattn.experiment.definition.load import DEFAULT_STORAGE_PATH
from rllib_recattn.experiment.training.checkpoint import find_checkpoint, load_config
from rllib_recattn.experiment.training.interrupt import EndWhenPaused, PauseOnInterrupt, handle_interrupts
from rllib_recattn.experiment.training.metrics import ITERATION, last_result
from rllib_recattn.experiment.training.plot import plot_learning_curve
from rllib_recattn.experiment.training.ray_session import ray_session, require_resources
from rllib_recattn.experiment.training.report import ProgressReport, report_console
from rllib_recattn.experiment.training.run_directory import discard_run_directory, new_run_directory, newest_checkpoint
from rllib_recattn.experiment.training.summary import RunSummary, stop_criteria
from rllib_recattn.experiment.training.text import command_text, path_text

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from rllib_recattn.experiment.definition.spec import Experiment

EXPERIMENT_FILE = "experiment.json"


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        status: ``finished`` by its stop criteria, ``interrupted`` by the user, or ``failed`` with an error.
        run_dir: The run directory; it is gone if an interrupted run had nothing to keep.
        metrics: The last iteration's metrics, nested; empty if there was none.
        checkpoint: The newest checkpoint, if one was saved.
    """

    status: Literal["finished", "interrupted", "failed"]
    run_dir: Path
    metrics: Mapping[str, Any]
    checkpoint: Path | None

    @property
    def exit_code(self) -> int:
        """The exit code of a command that did nothing but this run."""
        return {"finished": 0, "failed": 1, "interrupted": 130}[self.status]


def run_experiment(
    experiment: Experiment,
    config: AlgorithmConfig,
    *,
    resume: Path | None = None,
    ray_num_cpus: int | None = None,
    verbose: int = 0,
) -> RunResult:
    """Train until a stop criterion is met, printing a line per iteration and a summary at the end.

    The run directory is ``<storage_path>/<name>-<timestamp>``, to which ``<storage_path>/<name>`` points. SIGINT and
    SIGTERM end the run after its iteration, with a checkpoint; a second one ends it at once.

    Args:
        experiment: What to run.
        config: The algorithm's config, built from `experiment`.
        resume: The directory of an unfinished run to continue from its newest checkpoint. It goes on with the config
            and the stop criteria that it was started with, whatever `experiment` and `config` say by now.
        ray_num_cpus: How many CPUs Ray offers, if it is not running yet; by default as many as there are.
        verbose: Above 0, Ray's own log is shown.

    Returns:
        How the run ended. A trial's error is reported, not raised.

    Raises:
        SettingsError: If Ray has fewer CPUs or GPUs than the config needs, the run directory cannot be made, or the
            run to resume has no checkpoint.
    """
    if resume is not None:
        config = load_config(find_checkpoint(resume))
    console = report_console()
    run_dir = resume
    grid = None
    try:
        with ray_session(ray_num_cpus, verbose):
            require_resources(config)
            if resume is None:
                run_dir = new_run_directory(experiment.storage_path, experiment.name)
                (run_dir / EXPERIMENT_FILE).write_text(experiment.model_dump_json(indent=2), encoding="utf-8")
                tuner = _new_tuner(experiment, config, run_dir)
                console.print(f"Training {experiment.name} in {path_text(run_dir)}")
            else:
                tuner = tune.Tuner.restore(str(resume), trainable=config.algo_class, resume_errored=True)
                console.print(f"Resuming {path_text(resume)}")
            with handle_interrupts():
                grid = tuner.fit()
    except KeyboardInterrupt:
        if run_dir is None:
            raise
    assert run_dir is not None
    result, checkpoint = last_result(run_dir), newest_checkpoint(run_dir)
    if grid is not None and grid.num_errors:
        _report_failed(console, experiment, run_dir, checkpoint, grid.errors[0])
        return RunResult("failed", run_dir, result, checkpoint)
    if result.get("done"):
        _report_finished(console, run_dir, result, checkpoint)
        return RunResult("finished", run_dir, result, checkpoint)
    _report_interrupted(console, experiment, run_dir, result, checkpoint)
    return RunResult("interrupted", run_dir, result, checkpoint)


def _new_tuner(experiment: Experiment, config: AlgorithmConfig, run_dir: Path) -> tune.Tuner:
    checkpoint = experiment.checkpoint
    return tune.Tuner(
        config.algo_class,
        param_space=config,
        tune_config=tune.TuneConfig(
            scheduler=PauseOnInterrupt(),
            # By default the whole config goes into the name.
            trial_dirname_creator=lambda trial: "trial_" + trial.trial_id.rpartition("_")[2],
        ),
        run_config=tune.RunConfig(
            name=run_dir.name,
            storage_path=str(run_dir.parent),
            stop=dict(experiment.stop),
            callbacks=[ProgressReport(), EndWhenPaused()],
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=checkpoint.frequency,
                checkpoint_at_end=checkpoint.at_end,
                num_to_keep=checkpoint.num_to_keep,
            ),
            failure_config=tune.FailureConfig(max_failures=experiment.max_failures),
            verbose=0,
        ),
    )


def _report_finished(console: Console, run_dir: Path, result: Mapping[str, Any], checkpoint: Path | None) -> None:
    # A resumed run stops where it was first meant to, whatever the experiment's file says by now.
    stop = json.loads((run_dir / EXPERIMENT_FILE).read_text(encoding="utf-8"))["stop"]
    summary = RunSummary(
        name=run_dir.name,
        result=result,
        criteria=stop_criteria(result, stop),
        run_dir=run_dir,
        checkpoint=checkpoint,
        learning_curve=plot_learning_curve(run_dir, run_dir / "learning_curve.png"),
    )
    summary.write()
    console.print()
    console.print(summary.text())


def _report_interrupted(
    console: Console,
    experiment: Experiment,
    run_dir: Path,
    result: Mapping[str, Any],
    checkpoint: Path | None,
) -> None:
    if not result:
        discard_run_directory(run_dir, experiment.name)
        console.print("Interrupted before there was a result: there is nothing to resume.")
    elif checkpoint is None:
        console.print(f"Interrupted without a checkpoint; the results so far are in {path_text(run_dir)}.")
    else:
        console.print(f"Interrupted after iteration {result[ITERATION]}.")
        _print_way_on(console, experiment, checkpoint)


def _report_failed(
    console: Console, experiment: Experiment, run_dir: Path, checkpoint: Path | None, error: Exception
) -> None:
    # The traceback in full: RLlib often wraps what really happened in an error without a message.
    console.print(f"\n{error}", style="red")
    console.print(f"\n{run_dir.name} failed with the error above.", style="bold red")
    for error_file in run_dir.glob("*/error.txt"):
        console.print(f"  traceback       {path_text(error_file)}")
    if checkpoint is not None:
        _print_way_on(console, experiment, checkpoint)


def _print_way_on(console: Console, experiment: Experiment, checkpoint: Path) -> None:
    command = [command_text(), "train", "file", path_text(experiment.path), "--resume"]
    if experiment.storage_path != Path(DEFAULT_STORAGE_PATH).expanduser().absolute():
        command += ["--storage-path", path_text(experiment.storage_path)]
    console.print(f"  checkpoint      {path_text(checkpoint)}")
    console.print("Resume with:")
    console.print(f"  {shlex.join(command)}")
