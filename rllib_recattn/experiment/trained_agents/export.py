"""Writing the agents of a checkpoint into folders that load without Ray, and run no code when they are loaded."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rllib_recattn.agents.stored import FORMAT, SETTINGS_FILE, WEIGHTS_FILE, names_code, read_agent, write_agent
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.trained_agents.policies import read_policies


@dataclass(frozen=True)
class ExportedAgent:
    """What was written.

    Attributes:
        policy: The policy's id.
        folder: Where it is.
        model: The model's name.
        parameters: How many numbers its weights are, those of a value function included.
        names_code: Whether it names a model or an encoder to be imported, and loads with ``trust=True`` only.
    """

    policy: str
    folder: Path
    model: str
    parameters: int
    names_code: bool


def export_agents(
    checkpoint: Path, out: Path, *, policy: str | None = None, force: bool = False
) -> list[ExportedAgent]:
    """Write the agents of a checkpoint, which is a pickle: export none that you do not trust.

    A single agent lies in the folder itself, several in folders in it that have the names of their policies. All of it
    is written beside the folder, read back, and put in its place at once.

    Args:
        checkpoint: A run's directory, a checkpoint, or an RLModule's folder.
        out: The folder to write.
        policy: Which policy, of several; None: all of them.
        force: Whether to replace agents that are there already.

    Raises:
        SettingsError: If there is something already, also agents of other policies, which none of these replaces; or
            an agent cannot act without RLlib.
        OSError: If it cannot be written.
    """
    check_out(out, force)
    policies = read_policies(checkpoint, policy)
    _check_none_is_lost(out, policies.keys())
    for name in policies:
        if len(policies) > 1 and not re.fullmatch(r"\w[\w.-]*", name):
            raise SettingsError(
                f"policy {name!r}: cannot be the name of a folder; export it alone, with its id as policy"
            )
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = (out.with_name(f".{out.name}-{os.getpid()}-{kind}") for kind in ("new", "old"))
    fresh.mkdir()
    try:
        exported = []
        for name, trained in policies.items():
            within = fresh / name if len(policies) > 1 else fresh
            within.mkdir(exist_ok=True)
            write_agent(trained.description, trained.weights, within, name)
            read_agent(within, trust=True, values=trained.description.has_values)
            size = sum(map(Tensor.numel, trained.weights.values()))
            place = out / within.relative_to(fresh)
            exported.append(ExportedAgent(name, place, trained.description.model, size, names_code(within)))
        if out.exists():
            check_out(out, force)  # somebody may have put something there in the meantime
            out.rename(old)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    return exported


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


def _check_none_is_lost(out: Path, policies: AbstractSet[str]) -> None:
    """Refuse to replace a folder of several policies by agents of some of them."""
    if not out.is_dir() or _is_whole(out):
        return
    there = sorted(each.name for each in out.iterdir())
    if not policies >= set(there):
        raise SettingsError(
            f"--out {str(out)!r}: holds the agents of the policies {', '.join(map(repr, there))}, of which "
            f"{', '.join(map(repr, policies))} would replace all; should be another folder"
        )


def _is_whole(folder: Path) -> bool:
    """Tell whether a folder is what :func:`write_agent` writes, and holds nothing else."""
    return _is_marked(folder) and sorted(each.name for each in folder.iterdir()) == [SETTINGS_FILE, WEIGHTS_FILE]


def _beside_agents(folder: Path) -> list[str]:
    """Return the names of what in a folder is neither part of an agent nor, whole, the agent of one of its policies."""
    own = (SETTINGS_FILE, WEIGHTS_FILE) if _is_marked(folder) else ()
    return sorted(each.name for each in folder.iterdir() if each.name not in own and (own or not _is_whole(each)))


def _is_marked(folder: Path) -> bool:
    files = [folder / SETTINGS_FILE, folder / WEIGHTS_FILE]
    if folder.is_symlink() or any(file.is_symlink() or not file.is_file() for file in files):
        return False
    try:
        data = json.loads(files[0].read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("format") == FORMAT
