"""How numbers, times and paths are written in reports."""

from __future__ import annotations

import functools
import math
import shutil
import sys
from pathlib import Path

from rich.console import Console

MISSING = "–"
_COMMANDS = ("rllib", "rllib-recattn")


def count_text(value: float) -> str:
    """Write a count: ``125,000``; a dash for NaN."""
    return MISSING if math.isnan(value) else f"{value:,.0f}"


def number_text(value: float, decimals: int = 2) -> str:
    """Write a number with a fixed number of decimals, zero without a sign; a dash for NaN."""
    if math.isnan(value):
        return MISSING
    text = f"{value:,.{decimals}f}"
    return text if text.strip("-0.") else text.lstrip("-")


def trials_text(count: int, planned: int = 0) -> str:
    """Write how many trials there are: ``1 trial``, ``2 of 6 planned trials``."""
    if planned > count:
        return f"{count} of {planned} planned trials"
    return f"{count} trial{'s' * (count != 1)}"


def duration_text(seconds: float) -> str:
    """Write a time: ``8 s``, ``2 min 05 s``, ``3 h 07 min``; a dash for NaN."""
    if math.isnan(seconds):
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def path_text(path: Path) -> str:
    """Write a path relative to the working directory if it lies below that, else in full."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def command_text() -> str:
    """Write how this command can be called from here: its name, or its path if the shell would not find it."""
    called = Path(sys.argv[0])
    if called.name not in _COMMANDS:
        return _COMMANDS[0]
    return called.name if shutil.which(called.name) else path_text(called)


@functools.cache
def report_console() -> Console:
    """Return the console for standard output, which prints text as it is: nothing wrapped, highlighted, interpreted.

    There is one for the whole process: what another one printed would break the live table of a sweep.
    """
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
