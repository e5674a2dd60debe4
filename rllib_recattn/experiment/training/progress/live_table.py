"""The table of trials that is drawn again, in its place, while a sweep runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rich.live import Live
from rich.text import Text

from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.reports.text import report_console
from rllib_recattn.experiment.reports.trial_table import TrialRow, trial_table

_SECONDS_BETWEEN_DRAWINGS = 0.25
_LINES_AROUND_ROWS = 6  # borders, headings, caption and the line that the cursor is on

# One per process, as the terminal is: Tune copies its callbacks, which could not be found again to end it.
_live: Live | None = None


class LiveTable:
    """Draws the trials of a sweep; what is printed meanwhile appears above.

    Args:
        measure: What trials are compared by.
    """

    def __init__(self, measure: Measure):
        global _live
        self._measure = measure
        self._drawn_at = 0.0
        end_live_table()
        # Drawn from Tune's loop and by no thread of its own, whose output could come in the middle of another's.
        _live = Live(Text("starting …"), console=report_console(), auto_refresh=False, transient=True)
        _live.start(refresh=True)

    def update(self, rows: Callable[[], Sequence[TrialRow]]) -> None:
        """Draw the table, unless it was drawn a moment ago.

        Args:
            rows: Makes the rows.
        """
        now = time.monotonic()
        if _live is None or now - self._drawn_at < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._drawn_at = now
        console = report_console()
        room = console.height - _LINES_AROUND_ROWS
        _live.update(trial_table(rows(), self._measure, console, max_rows=room), refresh=True)


def end_live_table() -> None:
    """Take the table away and give the terminal back, if there is one."""
    global _live
    live, _live = _live, None
    if live is not None:
        live.stop()
