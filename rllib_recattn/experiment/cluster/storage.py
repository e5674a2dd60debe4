"""Whether all nodes see the directory in which results are stored."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.cluster.probe import DRIVERS_FILE


@contextmanager
def trial_directory(storage_path: Path) -> Iterator[Path]:
    """Make a directory for the nodes to try, with the driver's file in it; leave nothing behind.

    Args:
        storage_path: Where results are to be stored; made, and removed again, if it is missing.

    Raises:
        SettingsError: If this process itself cannot write there.
    """
    made = [path for path in (storage_path, *storage_path.parents) if not path.exists()]
    # A name that no node has asked for before, since network file systems remember what they did not find.
    directory = storage_path / f".trial-{secrets.token_hex(8)}"
    try:
        directory.mkdir(parents=True)
        (directory / DRIVERS_FILE).write_text("written by the driver\n", encoding="utf-8")
        yield directory
    except OSError as error:
        raise SettingsError(f"storage_path = {str(storage_path)!r}: cannot be written to: {error.strerror}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
