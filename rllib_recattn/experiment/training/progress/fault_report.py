"""Prints what a trial has survived."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from rllib_recattn.experiment.reports.console import report_console
from rllib_recattn.rl_module.faults.callback import FAULTS


class FaultReport(Callback):
    """Prints a line for each fault that a trial went on after."""

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Print those that an iteration reports."""
        of_trial = f"{trial.custom_dirname}: " if len(trials) > 1 else ""
        for fault in result.get(FAULTS, ()):
            report_console().print(f"Survived: {of_trial}{fault}", style="yellow")
