"""Checkpoints that tell whether they are whole, and what there is to do when the disk is full."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rllib_recattn.checkpoint_files import CHECKSUMS_FILE, INCOMPLETE_FILE, ITERATION_FILE, checksums, damage_text
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.tune_internals.bases import AlgorithmBase
from rllib_recattn.experiment.tune_internals.trials import storage_of

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# What is left for the rest of a run's files: without any room, its record and its results would be cut short as well.
_RESERVE = 8 * 2**20


class DiskFullError(OSError):
    """A checkpoint could not be written. The message names the directory and the free space."""


class CheckedCheckpoints(AlgorithmBase):
    """For Tune's trainables: writes its iteration and checksums into each checkpoint, and compares them on loading.

    Stands first among the base classes. A checkpoint that could not be written to the end is removed; if the process
    is killed while it writes, the file ``incomplete`` stays in the directory.
    """

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Save a checkpoint.

        Raises:
            DiskFullError: If there is no space left.
        """
        try:
            return super().save(checkpoint_dir)
        except Exception as error:
            no_space = isinstance(error, OSError) and error.errno in _NO_SPACE
            message = self._no_space() if no_space else ""
            if self._target is not None:
                shutil.rmtree(self._target, ignore_errors=True)
            if no_space:
                raise DiskFullError(message) from error
            raise
        finally:
            if checkpoint_dir is None and self._source is not None:
                shutil.rmtree(self._source, ignore_errors=True)  # Tune leaves it after an error
            self._source = self._target = None

    def save_checkpoint(self, checkpoint_dir: str) -> Any:
        """Write a checkpoint into a local directory, from which Tune copies it."""
        self._source = Path(checkpoint_dir)
        return super().save_checkpoint(checkpoint_dir)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Load a checkpoint from a local directory.

        Raises:
            SettingsError: If it is damaged, with the one before it.
        """
        problem = damage_text(Path(checkpoint_dir))
        if problem is not None:
            raise SettingsError(problem)
        super().load_checkpoint(checkpoint_dir)

    def _report_class_trainable_checkpoint(self, checkpoint_dir: str, returned: Any) -> Any:
        """Copy a checkpoint to where it is kept; Tune calls this with the directory that it was written to."""
        storage = storage_of(self)
        if storage is None:
            return super()._report_class_trainable_checkpoint(checkpoint_dir, returned)
        Path(checkpoint_dir, ITERATION_FILE).write_text(f"{self.iteration}\n", encoding="utf-8")
        written = json.dumps(checksums(Path(checkpoint_dir)), indent=0)
        # Tune numbers its checkpoints by counting on from the last.
        storage.current_checkpoint_index += 1
        self._target = Path(storage.checkpoint_fs_path)
        storage.current_checkpoint_index -= 1
        self._target.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._target).free < _size(Path(checkpoint_dir)) + _RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (self._target / INCOMPLETE_FILE).touch()
        result = super()._report_class_trainable_checkpoint(checkpoint_dir, returned)
        (self._target / CHECKSUMS_FILE).write_text(written, encoding="utf-8")
        (self._target / INCOMPLETE_FILE).unlink()
        return result

    _source: Path | None = None
    _target: Path | None = None

    def _no_space(self) -> str:
        places = [self._target.parent if self._target else None, Path(tempfile.gettempdir())]
        free = [f"{shutil.disk_usage(place).free / 2**20:,.1f} MiB free in {place}" for place in places if place]
        return (
            f"No space left for a checkpoint: {', '.join(free)}. The checkpoints before it are as they were. What to "
            "do: make room, or keep fewer (checkpoint: {num_to_keep: 2}), and resume."
        )


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
