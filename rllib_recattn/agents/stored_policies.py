"""The agents of several policies, a folder each."""

from __future__ import annotations

from pathlib import Path

from rllib_recattn.agents.stored import is_stored
from rllib_recattn.errors import SettingsError


def stored_policies(folder: Path) -> dict[str, Path]:
    """Return the folders of exported policies in a folder that holds nothing else.

    Raises:
        SettingsError: If it holds other things beside them.
    """
    content = sorted(each for each in folder.glob("*") if not each.name.startswith("."))
    stored = {each.name: each for each in content if is_stored(each)}
    others = [each.name for each in content if each.name not in stored]
    if stored and others:
        raise SettingsError(
            f"{str(folder)!r}: holds exported agents, {', '.join(map(repr, stored))}, beside other things, "
            f"{', '.join(map(repr, others))}; should be the folder of one of the agents"
        )
    return stored
