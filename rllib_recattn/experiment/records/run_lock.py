"""Which runs are still training: one process at a time may train in a run directory."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rllib_recattn.errors import SettingsError

_LOCK_FILE = ".lock"
_OWNER_FILE = ".training.json"
_SECONDS_BETWEEN_SIGNS = 10.0
_SECONDS_TO_LOSS = 60.0  # without a sign of life


def training_process(run_dir: Path) -> str | None:
    """Say which process trains in a run directory, ``process 123 on host a``; None: none.

    A lock tells of processes on this machine, which the operating system takes from those that end, however they do.
    Processes on other machines give a sign of life every ten seconds; after a minute without one they count as ended.
    """
    owner = _owner(run_dir)
    if owner is None:
        return None
    if owner.get("host") == socket.gethostname():
        is_alive = _is_locked(run_dir)
    else:
        is_alive = time.time() - (run_dir / _OWNER_FILE).stat().st_mtime < _SECONDS_TO_LOSS
    return f"process {owner.get('pid')} on host {owner.get('host')}" if is_alive else None


def refuse_training(run_dir: Path) -> None:
    """Refuse to go on with a run that a process still trains.

    Raises:
        SettingsError: With the process, and how to end it.
    """
    process = training_process(run_dir)
    if process is not None:
        pid = process.split()[1]
        raise SettingsError(
            f"--resume: {run_dir.name} is still training, {process}. Leave out --resume to begin another run beside "
            f"it, or end that one first, with a checkpoint: kill -INT {pid}"
        )


@contextmanager
def training_in(run_dir: Path) -> Iterator[None]:
    """Hold a run directory for as long as the context lasts.

    Raises:
        SettingsError: If another process holds it.
    """
    refuse_training(run_dir)
    lock = FileLock(run_dir / _LOCK_FILE)
    # Some network file systems know no locks; the signs of life remain.
    with suppress(OSError, NotImplementedError):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            refuse_training(run_dir)
            raise SettingsError(f"--resume: {run_dir.name} is being resumed by another process") from None
    owner = run_dir / _OWNER_FILE
    owner.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
    ended = threading.Event()
    signs = threading.Thread(target=_give_signs, args=(owner, ended), name="signs of life", daemon=True)
    signs.start()
    try:
        yield
    finally:
        ended.set()
        signs.join()
        for file in (owner, run_dir / _LOCK_FILE):  # gone already where there was nothing to keep of the run
            file.unlink(missing_ok=True)
        with suppress(OSError, NotImplementedError):
            lock.release()


def _give_signs(owner: Path, ended: threading.Event) -> None:
    while not ended.wait(_SECONDS_BETWEEN_SIGNS):
        with suppress(OSError):
            os.utime(owner)


def _owner(run_dir: Path) -> dict[str, Any] | None:
    try:
        owner = json.loads((run_dir / _OWNER_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or it is just being written or removed
        return None
    return owner if isinstance(owner, dict) else None


def _is_locked(run_dir: Path) -> bool:
    lock = FileLock(run_dir / _LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # no locks here
        owner = _owner(run_dir)
        return owner is not None and _is_running(owner.get("pid"))
    lock.release()
    return False


def _is_running(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (OSError, TypeError, ValueError):
        return False
    return True
