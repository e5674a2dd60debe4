"""The checkpoint that an experiment begins with."""

from __future__ import annotations

from pathlib import Path

from rllib_recattn.checkpoint_files import RLLIB_FILE, damage_text, newest_whole
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.paths import absolute_path


def checkpoint_to_restore(text: str, where: str) -> Path:
    """Find the checkpoint that a path means.

    Args:
        text: The directory of a checkpoint, or of a trial or run, whose newest undamaged checkpoint is taken.
        where: File and key path, for error messages.

    Returns:
        The checkpoint's absolute path.

    Raises:
        SettingsError: If there is none, or it is damaged.
    """
    wanted = "should be the directory of a checkpoint, or of a run or trial with one"
    path = absolute_path(text, where)
    if not path.is_dir():
        raise SettingsError(f"{where} = {text!r}: {wanted}")
    if not (path / RLLIB_FILE).is_file():
        found = newest_whole([*path.glob("checkpoint_*"), *path.glob("*/checkpoint_*")])
        if found is None:
            raise SettingsError(f"{where} = {text!r}: {wanted}; there is no whole checkpoint in here")
        return found.resolve()
    problem = damage_text(path)
    if problem is not None:
        raise SettingsError(f"{where} = {text!r}: {problem}")
    return path.resolve()
