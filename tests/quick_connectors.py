"""Makes RLlib's connectors quick to build: each looks up where it was called from, with the source of all callers.

It needs the frame of its caller alone. Among as many modules and as deep in pytest as the tests are, the rest takes a
tenth of a second a connector, and more than half of the time of tests that build agents.
"""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

_stack = inspect.stack


def _short_stack(context: int = 1) -> list[Any]:
    frame = sys._getframe(1)
    if frame.f_globals.get("__name__") != "ray.rllib.connectors.connector_v2":
        return _stack(context)
    return [SimpleNamespace(frame=each) for each in (frame, frame.f_back)]


def install() -> None:
    inspect.stack = _short_stack
