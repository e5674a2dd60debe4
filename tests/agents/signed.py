"""Exported agents with changes that their checksums do not show, as a stranger would make them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rllib_recattn.agents.stored import SETTINGS_FILE, WEIGHTS_FILE, settings_checksum


def sign(folder: Path) -> None:
    """Compute the checksums of an exported agent again."""
    data = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    data["weights_sha256"] = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    data["settings_sha256"] = settings_checksum(data)
    (folder / SETTINGS_FILE).write_text(json.dumps(data), encoding="utf-8")


def change(folder: Path, *path: str, value: Any) -> None:
    """Change a setting of an exported agent, and nothing else."""
    data = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (folder / SETTINGS_FILE).write_text(json.dumps(data), encoding="utf-8")
