"""The time after which an experiment ends: each trial after its iteration, and with a checkpoint.

Tune's own time budget ends all trials on the spot, and what they have learned since their last checkpoint is gone.
"""

from __future__ import annotations

import math
import time

# One for the process, as the interrupt is: scheduler and callback travel through Tune's pickles and find it here.
_seconds = math.inf
_end: float | None = None


def set_time_budget(seconds: float | None) -> None:
    """Say how long the experiment that is about to run may take; a resumed one has all of its time again.

    Args:
        seconds: Counted from the beginning of its first trial; None: any time.
    """
    global _seconds, _end
    _seconds, _end = math.inf if seconds is None else seconds, None


def begin_time_budget() -> None:
    """Begin to count, if nobody has."""
    global _end
    if _end is None:
        _end = time.monotonic() + _seconds


def time_is_over() -> bool:
    """Say whether the running experiment has used up its time."""
    return _end is not None and time.monotonic() >= _end
