"""What a training run prints: one line per iteration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console

from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.reports.text import count_text, duration_text, number_text, path_text, report_console
from rllib_recattn.rl_module.faults.callback import FAULTS

_HEADINGS = ("iteration", "env steps", "return", "success", "steps/s", "elapsed")
_WIDTHS = (9, 12, 9, 8, 8, 12)
_ERROR_FILE = "error.txt"
_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:: .*)?$", re.MULTILINE)  # a class, as a traceback ends with it
_LONGEST_ERROR = 500
_SUCCESS_COLUMN = _HEADINGS.index("success")


class IterationLines:
    """Prints results in columns; the success rate only if the environment reports one.

    Args:
        shows_success: Whether there is a column for it from the start.
        margin: The width of a first column that says whose the line is; 0: none.
    """

    def __init__(self, shows_success: bool, margin: int = 0):
        self._console = report_console()
        self._shows_success = shows_success
        self._margin = margin
        self._has_header = False

    def print(self, result: dict[str, Any], whose: str = "") -> None:
        """Print an iteration's line, and the headings above the first one."""
        reports_success = metrics.has_metric(result, metrics.SUCCESS)
        if not self._has_header or (reports_success and not self._shows_success):
            self._shows_success |= reports_success
            self._has_header = True
            self._console.print(self._line(_HEADINGS, "trial" if self._margin else ""), style="bold")
        self._console.print(self._line(_cells(result), whose))

    def _line(self, cells: tuple[str, ...], whose: str) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True)]
        if not self._shows_success:
            del padded[_SUCCESS_COLUMN]
        return whose.ljust(self._margin) + " ".join(padded)


class ProgressReport(Callback):
    """Prints a line per iteration of the one trial that there is.

    Tune pickles its callbacks, so there is no console in here before the run begins.
    """

    def setup(self, stop: dict[str, float] | None = None, **info: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration, of a resumed run as well."""
        self._lines = IterationLines(shows_success=metrics.SUCCESS in (stop or {}))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Print an iteration's line."""
        self._lines.print(result)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Show the error after which Tune starts the trial again."""
        console = report_console()
        console.print(f"Failure {trial.num_failures}: going on from the newest checkpoint.", style="bold red")
        print_error(console, trial)


def print_error(console: Console, trial: Trial) -> None:
    """Print what a trial's newest failure was, and where its traceback is: those of a lost node fill screens."""
    console.print(f"  {error_text(trial)}", style="red")
    console.print(f"  traceback       {path_text(Path(trial.local_path, _ERROR_FILE))}")


def error_text(trial: Trial) -> str:
    """Return the error at the end of the traceback of a trial's newest failure, in one line."""
    # Tune appends every failure to this file, each under a line "Failure # 1 (occurred at …)".
    text = Path(trial.local_path, _ERROR_FILE).read_text(encoding="utf-8").rpartition("Failure # ")[2].strip()
    errors = list(_ERROR.finditer(text))
    # Ray tells of an actor that died in a text without the name of an error.
    line = " ".join((text[errors[-1].start() :] if errors else text.partition("\n")[2]).split())
    return line if len(line) <= _LONGEST_ERROR else f"{line[: _LONGEST_ERROR - 1]}…"


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    return (
        count_text(metrics.metric(result, metrics.ITERATION)),
        count_text(metrics.metric(result, metrics.ENV_STEPS)),
        number_text(metrics.metric(result, metrics.RETURN)),
        number_text(metrics.metric(result, metrics.SUCCESS)),
        count_text(metrics.steps_per_second(result)),
        duration_text(metrics.metric(result, metrics.SECONDS)),
    )


class FaultReport(Callback):
    """Prints a line for each fault that a trial went on after."""

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Print those that an iteration reports."""
        of_trial = f"{trial.custom_dirname}: " if len(trials) > 1 else ""
        for fault in result.get(FAULTS, ()):
            report_console().print(f"Survived: {of_trial}{fault}", style="yellow")
