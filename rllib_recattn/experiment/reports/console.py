"""The console that reports are printed to."""

from __future__ import annotations

import functools

from rich.console import Console


@functools.cache
def report_console() -> Console:
    """Return the console for standard output, which prints text as it is: nothing wrapped, highlighted, interpreted.

    There is one for the whole process: what another one printed would break the live table of a sweep.
    """
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
