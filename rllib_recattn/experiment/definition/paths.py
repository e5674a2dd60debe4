"""The directory for results and other paths, checked before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

from rllib_recattn.checkpoint_files import AGENT_FILE, RLLIB_FILE, damage_text, newest_whole
from rllib_recattn.errors import SettingsError

DEFAULT_STORAGE_PATH = "~/ray_results"


def storage_directory(text: str, where: str) -> Path:
    """Return the absolute path of a directory for results, which need not exist yet.

    Raises:
        SettingsError: If it cannot be one.
    """
    if "://" in text:
        raise SettingsError(f"{where} = {text!r}: should be a local or mounted directory; no URIs yet")
    path = absolute_path(text, where)
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    if not nearest.is_dir():
        raise SettingsError(f"{where} = {text!r}: should be a directory, but {nearest} is a file")
    if not os.access(nearest, os.W_OK):
        raise SettingsError(f"{where} = {text!r}: should be a directory that you may write to")
    return path


def absolute_path(text: str, where: str) -> Path:
    """Return an absolute path, ``~`` written out; nothing has to be there.

    Raises:
        SettingsError: If no file can have such a path.
    """
    try:
        path = Path(text).expanduser().absolute()
        path.exists()  # raises if it is too long
        os.fsencode(path)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: nobody has the name after `~`
        raise SettingsError(f"{where} = {text!r}: cannot be a path: {error}") from None
    if "\0" in text:
        raise SettingsError(f"{where} = {text!r}: cannot be a path: it holds a null character")
    return path


def checkpoint_to_restore(text: str, where: str) -> Path:
    """Find the checkpoint that a path means.

    Args:
        text: The directory of a checkpoint, or of a trial or run, whose newest undamaged checkpoint is taken; or what
            ``rllib export`` wrote.
        where: File and key path, for error messages.

    Returns:
        The checkpoint's absolute path.

    Raises:
        SettingsError: If there is none, or it is damaged.
    """
    wanted = (
        "should be the directory of a checkpoint, of a run or trial with one, or what `rllib export` wrote as "
        "safetensors"
    )
    path = absolute_path(text, where)
    if not path.is_dir():
        raise SettingsError(f"{where} = {text!r}: {wanted}")
    if not (path / RLLIB_FILE).is_file():
        found = newest_whole([*path.glob("checkpoint_*"), *path.glob("*/checkpoint_*")])
        if found is None and any((each / AGENT_FILE).is_file() for each in (path, *path.glob("*"))):
            return path.resolve()
        if found is None:
            raise SettingsError(f"{where} = {text!r}: {wanted}; there is no whole checkpoint in here")
        return found.resolve()
    problem = damage_text(path)
    if problem is not None:
        raise SettingsError(f"{where} = {text!r}: {problem}")
    return path.resolve()
