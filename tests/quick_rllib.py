"""RLlib without what takes most of the time of many tests and changes nothing of what they show."""

from __future__ import annotations

import functools
import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_stack = inspect.stack


def build_connectors_quickly() -> None:
    """Have each connector look up the frame that it was called from, and not the source of all callers.

    Among as many modules and as deep in pytest as the tests are, that takes a tenth of a second a connector, and more
    than half of the time of tests that build agents.
    """
    inspect.stack = _short_stack


def _short_stack(context: int = 1) -> list[Any]:
    frame = sys._getframe(1)
    if frame.f_globals.get("__name__") != "ray.rllib.connectors.connector_v2":
        return _stack(context)
    return [SimpleNamespace(frame=each) for each in (frame, frame.f_back)]


def start_workers_as_forks() -> None:
    """Have each Ray of this process start its workers with ray_worker.py, if it can: there is no public API for it."""
    from ray._private.parameter import RayParams

    if sys.platform == "linux" and "setup_worker_path" in inspect.signature(RayParams).parameters:
        path = str(Path(__file__).with_name("ray_worker.py"))
        RayParams.__init__ = functools.partialmethod(RayParams.__init__, setup_worker_path=path)
