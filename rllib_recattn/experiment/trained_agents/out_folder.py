"""The folder that exported agents are written into: what may be replaced there, and what never is."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from pathlib import Path

from rllib_recattn.agents.graphs.interface import GRAPH_FORMAT, INTERFACE_FILE
from rllib_recattn.agents.graphs.write import GRAPH_FILES
from rllib_recattn.agents.stored import FORMAT, SETTINGS_FILE, WEIGHTS_FILE
from rllib_recattn.errors import SettingsError

# The files of an agent, the first of which says what it is.
_KINDS = (
    (SETTINGS_FILE, WEIGHTS_FILE),
    *((INTERFACE_FILE, file) for file in GRAPH_FILES.values()),
)
_FORMATS = (FORMAT, GRAPH_FORMAT)


def check_out(out: Path, force: bool) -> None:
    """Refuse to write where something lies already.

    Raises:
        SettingsError: If there is something, with what would be right.
    """
    if not (out.exists() or out.is_symlink()):
        return
    if not out.is_dir() or out.is_symlink():
        raise SettingsError(f"--out {str(out)!r}: there is something of this name; should be a new folder")
    if out.resolve() == Path.cwd():
        raise SettingsError(f"--out {str(out)!r}: is the folder that you are in; should be another one")
    content = list(out.iterdir())
    if content and not force:
        raise SettingsError(f"--out {str(out)!r}: there is such a folder already; replace the agent in it with --force")
    if _is_whole(out):
        return
    others = sorted(_beside_agents(out))
    if others:
        raise SettingsError(
            f"--out {str(out)!r}: holds something else than exported agents, which --force replaces only: "
            f"{', '.join(map(repr, others))}"
        )


def check_none_is_lost(out: Path, policies: AbstractSet[str]) -> None:
    """Refuse to replace a folder of several policies by agents of some of them.

    Raises:
        SettingsError: If agents of other policies lie there.
    """
    if not out.is_dir() or _is_whole(out):
        return
    there = sorted(each.name for each in out.iterdir())
    if not policies >= set(there):
        raise SettingsError(
            f"--out {str(out)!r}: holds the agents of the policies {', '.join(map(repr, there))}, of which "
            f"{', '.join(map(repr, policies))} would replace all; should be another folder"
        )


def _is_whole(folder: Path) -> bool:
    """Tell whether a folder is one of an agent, and holds nothing else."""
    kind = _kind_of(folder)
    return kind is not None and {each.name for each in folder.iterdir()} == set(kind)


def _beside_agents(folder: Path) -> list[str]:
    """Return the names of what in a folder is neither part of an agent nor, whole, the agent of one of its policies."""
    own = _kind_of(folder) or ()
    return sorted(each.name for each in folder.iterdir() if each.name not in own and (own or not _is_whole(each)))


def _kind_of(folder: Path) -> tuple[str, str] | None:
    """Return the names of the files of the agent in a folder; None if there is none."""
    return next((kind for kind in _KINDS if _has(folder, kind)), None)


def _has(folder: Path, kind: tuple[str, str]) -> bool:
    files = [folder / name for name in kind]
    if folder.is_symlink() or any(file.is_symlink() or not file.is_file() for file in files):
        return False
    try:
        data = json.loads(files[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("format") in _FORMATS
