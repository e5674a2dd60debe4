"""How much each run may use: environment steps, or as many as fit into a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rllib_recattn.errors import SettingsError

_STEPS = {"": 1, "k": 1_000, "M": 1_000_000}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Budget:
    """A budget as the user wrote it.

    Attributes:
        text: What was written.
        steps: Environment steps of each run; None if a time was given.
        seconds: Of all runs together, on the clock; None if steps were given.
    """

    text: str
    steps: int | None
    seconds: float | None


def read_budget(text: str | int) -> Budget:
    """Read ``300k`` or ``1.5M`` steps, a number of them, or ``90s``, ``20m``, ``2h`` of time.

    Raises:
        SettingsError: If it is none of these.

    Examples:
        >>> read_budget("300k").steps, read_budget("20m").seconds
        (300000, 1200.0)
    """
    found = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)\s*([a-zA-Z]*)", str(text).strip())
    number = float(found[1].replace("_", "")) if found else 0.0
    unit = found[2] if found else "?"
    if number > 0 and unit in _STEPS and number * _STEPS[unit] >= 1:
        return Budget(str(text), int(number * _STEPS[unit]), None)
    if number > 0 and unit in _SECONDS:
        return Budget(str(text), None, number * _SECONDS[unit])
    raise SettingsError(
        f"budget = {text!r}: should be environment steps of each run, such as 300k or 1.5M, or the time for all runs "
        "together, such as 90s, 20m or 2h"
    )
