"""What code starts, seen by Python's own audit events."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_STARTS = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.kill", "os.startfile"),
    *("subprocess.Popen", "pty.spawn", "webbrowser.open", "socket.connect", "shutil.rmtree", "shutil.move"),
)

_watchers: list[list[str]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and event in _STARTS:
        for started in _watchers:
            started.append(f"{event} {arguments!r}")


sys.addaudithook(_hook)  # for good: Python cannot take it away again


@contextmanager
def nothing_started() -> Iterator[None]:
    """Fail if the body runs a program, opens a connection or removes files."""
    started: list[str] = []
    _watchers.append(started)
    try:
        yield
    finally:
        _watchers.remove(started)
    assert not started, started
