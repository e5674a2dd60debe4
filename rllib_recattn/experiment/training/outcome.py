"""What a run says when it ends: finished, interrupted or failed, and how to go on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from rich.console import Console

from rllib_recattn.experiment.definition.paths import DEFAULT_STORAGE_PATH
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.figures.plot import plot_learning_curve
from rllib_recattn.experiment.records.metrics import ITERATION
from rllib_recattn.experiment.records.run_directory import EXPERIMENT_FILE, discard_run_directory
from rllib_recattn.experiment.records.stop_criteria import StopCriterion, stop_criteria
from rllib_recattn.experiment.records.trials import read_trials
from rllib_recattn.experiment.reports.summary import RunSummary
from rllib_recattn.experiment.reports.sweep_report import report_sweep
from rllib_recattn.experiment.reports.text import command_text, path_text


def resume_command(
    experiment: Experiment, ray_num_cpus: int | None, ray_address: str | None, ship_package: bool | None
) -> str:
    """Write the command that goes on with a run where it was.

    Args:
        experiment: The experiment, as its file has it.
        ray_num_cpus: What the run was told of Ray.
        ray_address: Likewise.
        ship_package: Likewise.
    """
    command = [command_text(), "train", "file", path_text(experiment.path), "--resume"]
    if experiment.storage_path != Path(DEFAULT_STORAGE_PATH).expanduser().absolute():
        command += ["--storage-path", path_text(experiment.storage_path)]
    if ray_num_cpus is not None:
        command += ["--ray-num-cpus", str(ray_num_cpus)]
    if ray_address is not None:
        command += ["--ray-address", ray_address]
    if ship_package is not None:
        command.append("--ship-package" if ship_package else "--no-ship-package")
    return shlex.join(command)


def report_finished(console: Console, run_dir: Path, result: Mapping[str, Any], checkpoint: Path | None) -> None:
    """Report on a finished run, and write its summary."""
    # A resumed run stops where it was first meant to, whatever the experiment's file says by now.
    experiment = json.loads((run_dir / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    criteria = stop_criteria(result, experiment["stop"])
    time_budget = experiment.get("tune", {}).get("time_budget_s")
    if time_budget is not None and not any(criterion.is_met for criterion in criteria):
        criteria = (*criteria, StopCriterion("time_budget_s", time_budget, time_budget))
    summary = RunSummary(
        name=run_dir.name,
        result=result,
        criteria=criteria,
        run_dir=run_dir,
        checkpoint=checkpoint,
        learning_curve=plot_learning_curve(run_dir, run_dir / "learning_curve.png"),
    )
    summary.write()
    console.print()
    console.print(summary.text())


def report_interrupted(
    console: Console,
    experiment: Experiment,
    run_dir: Path,
    result: Mapping[str, Any],
    checkpoint: Path | None,
    resume_with: str,
) -> None:
    """Report on a run that was interrupted; one without a result is removed."""
    if not result:
        discard_run_directory(run_dir, experiment.name)
        console.print("Interrupted before there was a result: there is nothing to resume.")
    elif checkpoint is None:
        console.print(f"Interrupted without a checkpoint; the results so far are in {path_text(run_dir)}.")
    else:
        console.print(f"Interrupted after iteration {result[ITERATION]}.")
        _print_way_on(console, checkpoint, resume_with)


def report_failed(console: Console, run_dir: Path, checkpoint: Path | None, error: Exception, resume_with: str) -> None:
    """Show the error with which a run ended."""
    # The traceback in full: RLlib often wraps what really happened in an error without a message.
    console.print(f"\n{error}", style="red")
    console.print(f"\n{run_dir.name} failed with the error above.", style="bold red")
    for error_file in run_dir.glob("*/error.txt"):
        console.print(f"  traceback       {path_text(error_file)}")
    if checkpoint is not None:
        _print_way_on(console, checkpoint, resume_with)


def report_endless(console: Console, error: str, file: Path | None = None, checkpoint: Path | None = None) -> None:
    """Show why a run was ended that nothing else would have, and how to go on after its file was changed."""
    console.print(f"\n{error}", style="bold red")
    if file is not None and checkpoint is not None:
        command = [command_text(), "train", "file", path_text(file), "--restore", path_text(checkpoint)]
        console.print(f"Then go on with:\n  {shlex.join(command)}")


def _print_way_on(console: Console, checkpoint: Path, resume_with: str) -> None:
    console.print(f"  checkpoint      {path_text(checkpoint)}")
    _print_command(console, resume_with)


def _print_command(console: Console, resume_with: str) -> None:
    console.print("Resume with:")
    console.print(f"  {resume_with}")


def report_sweep_end(
    console: Console,
    experiment: Experiment,
    run_dir: Path,
    trials: Sequence[Trial],
    status: str,
    resume_with: str,
) -> None:
    """Report on the trials of a sweep that ended in one way or other.

    Args:
        console: Where to print.
        experiment: The experiment.
        run_dir: The run directory.
        trials: Tune's trials; empty if it was ended by force.
        status: ``finished``, ``interrupted`` or ``failed``.
        resume_with: The command that goes on with it.
    """
    has_results = any(trial.last_result for trial in read_trials(run_dir))
    failed = [trial for trial in trials if trial.status == Trial.ERROR]
    if not has_results and not failed:
        discard_run_directory(run_dir, experiment.name)
        console.print("Interrupted before there was a result: there is nothing to resume.")
        return
    if has_results:
        report_sweep(console, run_dir, finished=status == "finished")
    if failed:
        console.print(f"\n{len(failed)} of {len(trials)} trials failed.", style="bold red")
        for trial in failed:
            console.print(f"  traceback       {path_text(Path(trial.storage.trial_fs_path, 'error.txt'))}")
    if status == "interrupted":
        console.print("\nInterrupted before all trials were through.")
    if status != "finished":
        _print_command(console, resume_with)
