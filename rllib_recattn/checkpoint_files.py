"""Whether the files of a checkpoint are whole: there, not cut short, and as they were written; and reading them."""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from rllib_recattn.errors import SettingsError

CHECKSUMS_FILE = "checksums.json"
"""Holds the size and the checksum of each file of a checkpoint. Those that RLlib writes by itself have none."""

INCOMPLETE_FILE = "incomplete"
"""Stands in a checkpoint's directory while it is being written."""

ITERATION_FILE = "iteration"
"""Holds the number of the iteration after which a checkpoint was written. Those of RLlib alone have none."""

RLLIB_FILE = "rllib_checkpoint.json"
"""Stands in every checkpoint of an algorithm."""

MODULES = Path("learner_group", "learner", "rl_module")
"""Where the trained modules are in a checkpoint of RLlib's new API stack."""

MODULE_FILE = "module_state.pkl"
"""Holds the weights of a module, in its folder."""

AGENT_FILE = "agent.json"
"""Holds the settings of an exported agent."""

_CHUNK = 1 << 20


def is_of_rllib(folder: Path) -> bool:
    """Tell whether a folder is a run, a checkpoint or a module, whatever else has been put beside it."""
    if any((folder / name).is_file() for name in (RLLIB_FILE, MODULE_FILE)):
        return True
    return any(each.is_dir() for pattern in ("checkpoint_*", "*/checkpoint_*") for each in folder.glob(pattern))


def checksums(directory: Path) -> dict[str, list[int]]:
    """Compute the size, and the CRC-32, of each file in a directory, by its path relative to that."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): [path.stat().st_size, _crc(path)]
        for path in files
        if path.name not in (CHECKSUMS_FILE, INCOMPLETE_FILE)
    }


def damage(checkpoint: Path) -> str | None:
    """Say what is wrong with the files of a checkpoint.

    Args:
        checkpoint: Its directory.

    Returns:
        Half a sentence that names the file; None if nothing is wrong, as far as can be told: without
        ``checksums.json`` only that it was written to the end.
    """
    if (checkpoint / INCOMPLETE_FILE).exists():
        return "its writing was broken off"
    try:
        written = json.loads((checkpoint / CHECKSUMS_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return f"{CHECKSUMS_FILE} is damaged"
    problems = (_damage_of(checkpoint / name, size, crc, name) for name, (size, crc) in written.items())
    return next((problem for problem in problems if problem), None)


def iteration_of(checkpoint: Path) -> int | None:
    """Read after which iteration of its trial a checkpoint was written; None: it does not say."""
    try:
        return int((checkpoint / ITERATION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def newest_whole(checkpoints: list[Path]) -> Path | None:
    """Return the last by name of several checkpoints that are undamaged; None if there is none."""
    newest_first = sorted(checkpoints, key=lambda path: path.name, reverse=True)
    return next((path for path in newest_first if (path / RLLIB_FILE).is_file() and not damage(path)), None)


def damage_text(checkpoint: Path) -> str | None:
    """Say in a sentence what is wrong with a checkpoint, and which one before it is whole; None if nothing is."""
    problem = damage(checkpoint)
    if problem is None:
        return None
    others = [path for path in checkpoint.parent.glob("checkpoint_*") if path.name < checkpoint.name]
    before = newest_whole(others)
    advice = f"take the one before it, {str(before)!r}" if before else "there is none before it that is whole"
    return f"checkpoint {str(checkpoint)!r}: damaged: {problem}; {advice}"


@contextmanager
def reading(checkpoint: Path) -> Iterator[None]:
    """Say of which checkpoint it is that something cannot be read.

    Raises:
        SettingsError: In the place of what a file raises that is damaged, is from another version, or needs a package
            that is not installed.
    """
    try:
        yield
    except SettingsError:
        raise
    except _UNREADABLE as error:
        problem = f"cannot be read: {type(error).__name__}: {error}{_versions_text(checkpoint)}"
        raise SettingsError(f"checkpoint {str(checkpoint)!r}: {problem}") from error


# Bytes that are no pickle are mistaken for all kinds of instructions.
_UNREADABLE = (
    *(ImportError, AttributeError, LookupError, OSError, EOFError, TypeError, ValueError, MemoryError),
    *(OverflowError, pickle.UnpicklingError),
)


def _versions_text(checkpoint: Path) -> str:
    """Say with which version of Ray a checkpoint was written, if that is not the one that is installed."""
    file = next((path for path in (checkpoint / RLLIB_FILE, checkpoint / "metadata.json") if path.is_file()), None)
    try:
        written = None if file is None else json.loads(file.read_text(encoding="utf-8")).get("ray_version")
    except (OSError, ValueError, AttributeError):
        return ""
    here = version("ray")
    return f"; it was written with Ray {written}, and this is Ray {here}" if written not in (None, here) else ""


def _damage_of(path: Path, size: int, crc: int, name: str) -> str | None:
    if not path.is_file():
        return f"{name} is missing"
    if path.stat().st_size != size:
        return f"{name} has {path.stat().st_size} bytes of {size}"
    return None if _crc(path) == crc else f"the content of {name} has changed"


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc
