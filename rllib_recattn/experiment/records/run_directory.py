"""Run directories: ``<storage_path>/<name>-<timestamp>``, and which of them can be resumed."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import datetime
from pathlib import Path

from rllib_recattn.checkpoint_files import INCOMPLETE_FILE, RLLIB_FILE
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.records.run_lock import refuse_training

EXPERIMENT_FILE = "experiment.json"
SUMMARY_FILE = "summary.json"

_TIMESTAMP_FORMAT = "%Y-%m-%d_%H-%M-%S"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?")


def new_run_directory(storage_path: Path, name: str) -> Path:
    """Create the directory of a new run and point ``<storage_path>/<name>`` to it.

    Args:
        storage_path: Where runs are kept; created if missing.
        name: The experiment's name.

    Returns:
        The new directory's absolute path.

    Raises:
        SettingsError: If the directory cannot be created.
    """
    stem = f"{name}-{datetime.now().strftime(_TIMESTAMP_FORMAT)}"
    attempt = 0
    while True:
        run_dir = storage_path.resolve() / (f"{stem}-{attempt}" if attempt else stem)
        try:
            run_dir.mkdir(parents=True)
        except OSError as error:
            if isinstance(error, FileExistsError) and run_dir.exists():
                attempt += 1
                continue
            problem = f"cannot be made or written to: {(error.strerror or str(error)).lower()}"
            raise SettingsError(f"storage_path = {str(storage_path)!r}: {problem}") from None
        else:
            link_newest_run(storage_path, name)
            return run_dir


def discard_run_directory(run_dir: Path, name: str) -> None:
    """Remove a run that has nothing to keep, and whatever points to it."""
    shutil.rmtree(run_dir, ignore_errors=True)
    link_newest_run(run_dir.parent, name)


def run_directories(storage_path: Path, name: str) -> list[Path]:
    """List the runs of an experiment, newest first."""
    if not storage_path.is_dir():
        return []
    runs = [
        path
        for path in storage_path.resolve().iterdir()
        if path.name.startswith(f"{name}-")
        and _TIMESTAMP.fullmatch(path.name.removeprefix(f"{name}-"))
        and path.is_dir()
    ]
    return sorted(runs, key=_creation_order, reverse=True)


def find_unfinished_run(storage_path: Path, name: str) -> Path:
    """Find the run that ``--resume`` continues: the newest that can be continued and did not finish.

    Args:
        storage_path: Where runs are kept.
        name: The experiment's name.

    Returns:
        The run directory.

    Raises:
        SettingsError: If there is none, with what was looked for and what was found instead; or if a process still
            trains the newest.
    """
    runs = run_directories(storage_path, name)
    if runs:
        refuse_training(runs[0])  # also before it has a checkpoint
    for run_dir in runs:
        if not is_finished(run_dir) and can_be_resumed(run_dir):
            return run_dir
    looked_for = f"--resume: found no unfinished run with a checkpoint, {storage_path / name}-<timestamp>"
    if not runs:
        raise SettingsError(f"{looked_for}; there is no run of this name at all")
    if is_finished(runs[0]):
        raise SettingsError(f"{looked_for}; the newest, {runs[0].name}, is finished")
    raise SettingsError(f"{looked_for}; the newest, {runs[0].name}, ended before it had saved a checkpoint")


def can_be_resumed(run_dir: Path) -> bool:
    """Say whether there is anything to continue: a checkpoint, or several trials, of which some may have begun."""
    return (run_dir / "tuner.pkl").is_file() and (newest_checkpoint(run_dir) is not None or _has_trials(run_dir))


def is_finished(run_dir: Path) -> bool:
    """Say whether a run ended by its own stop criteria."""
    return (run_dir / SUMMARY_FILE).is_file()


def experiment_folder(checkpoint: Path) -> Path | None:
    """Return where the file lay that a run was started with, given one of its checkpoints; None: nothing says it."""
    for directory in checkpoint.resolve().parents[:2]:
        try:
            folder = json.loads((directory / EXPERIMENT_FILE).read_text(encoding="utf-8")).get("folder")
        except (OSError, ValueError):
            continue
        return None if folder is None else Path(folder)
    return None


def newest_checkpoint(run_dir: Path) -> Path | None:
    """Find the newest checkpoint in the directory of a run or of a trial that was written to the end; None: none."""
    return max(complete_checkpoints(run_dir), key=lambda path: path.name, default=None)


def complete_checkpoints(run_dir: Path) -> list[Path]:
    """List the checkpoints in the directory of a run or of a trial that were written to the end."""
    candidates = [*run_dir.glob("checkpoint_*"), *run_dir.glob("*/checkpoint_*")]
    return [path for path in candidates if is_complete(path)]


def is_complete(checkpoint: Path) -> bool:
    """Say whether there is a checkpoint in a directory, and one that was written to the end."""
    return (checkpoint / RLLIB_FILE).is_file() and not (checkpoint / INCOMPLETE_FILE).exists()


def link_newest_run(storage_path: Path, name: str) -> None:
    """Let the symbolic link ``<storage_path>/<name>`` point to the newest run; leave anything else of that name."""
    link = storage_path.resolve() / name
    if link.exists() and not link.is_symlink():
        return
    runs = run_directories(storage_path, name)
    if not runs:
        link.unlink(missing_ok=True)
        return
    # A link cannot be overwritten, but a rename replaces it in one step: nobody ever sees it missing.
    replacement = link.with_name(f".{name}-{os.getpid()}")
    try:
        replacement.symlink_to(runs[0].name, target_is_directory=True)
        replacement.replace(link)
    except OSError:  # a file system without links; they are a convenience
        replacement.unlink(missing_ok=True)


def _has_trials(run_dir: Path) -> bool:
    try:
        experiment = json.loads((run_dir / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # missing, or cut short when the process was killed
        return False
    return bool(experiment.get("space")) or experiment.get("tune", {}).get("num_samples", 1) > 1


def _creation_order(run_dir: Path) -> tuple[str, int]:
    suffix = run_dir.name[-30:]
    match = re.search(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:-(\d+))?$", suffix)
    assert match is not None, "callers pass run directories only"
    return match[1], int(match[2] or 0)
