"""What a conversion could not carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Losses:
    """Lines that say what is not in the new file, and why."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, key_path: str, value: Any, reason: str) -> None:
        """Note that a setting is not carried.

        Args:
            key_path: Where it stands in the old file, below the experiment's name.
            value: What it says there.
            reason: Why, and what to do instead.
        """
        self._lines.append(f"{key_path}: {_written(value)}: {reason}")

    def add_all(self, block: Mapping[str, Any], keys: Iterable[str], where: str, reason: str) -> None:
        """Note that those of the settings `keys` of a block that are there are not carried."""
        for key in keys:
            if key in block:
                self.add(f"{where}.{key}", block[key], reason)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each of them."""
        return tuple(self._lines)


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
