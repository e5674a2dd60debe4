"""Where a command writes, checked before it computes anything, and what it says while nothing else is to be seen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rllib_recattn.errors import SettingsError


def check_output_file(path: Path, option: str) -> None:
    """Refuse a path that no file can be written to.

    Args:
        path: The file, which may be there already.
        option: What named it, for the message: ``--output``.

    Raises:
        SettingsError: If its directory is missing, it is a directory itself, or it may not be written to.
    """
    directory = path.absolute().parent
    if not directory.is_dir():
        raise SettingsError(f"{option} {str(path)!r}: there is no directory {str(directory)!r}")
    if path.is_dir():
        raise SettingsError(f"{option} {str(path)!r}: should be a file, but is a directory")
    if not os.access(path if path.exists() else directory, os.W_OK):
        raise SettingsError(f"{option} {str(path)!r}: should be a file that you may write to")


@contextmanager
def writing(path: Path, option: str) -> Iterator[None]:
    """Turn what fails while a file or directory is written to into a message.

    Raises:
        SettingsError: If the disk is full, say.
    """
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"{option} {str(path)!r}: cannot be written to: {reason}") from error


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Say on a terminal what takes its time, and take it back when it is done; elsewhere say nothing."""
    on_terminal = sys.stderr.isatty()
    if on_terminal:
        click.echo(f"Loading {what} …", err=True, nl=False)
    try:
        yield
    finally:
        if on_terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
