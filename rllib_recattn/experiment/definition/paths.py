"""The directory for results and other paths, checked before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

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
