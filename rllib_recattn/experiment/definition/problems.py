"""Collect what is wrong with an experiment, to report all of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rllib_recattn.errors import SettingsError


class Problems:
    """A list of problems, one line each."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Add one problem, unless it is known already."""
        if line not in self._lines:
            self._lines.append(line)

    @property
    def lines(self) -> list[str]:
        """What was collected."""
        return list(self._lines)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the problems of a :class:`SettingsError` that the body raises, and go on after it."""
        try:
            yield
        except SettingsError as error:
            for line in str(error).splitlines():
                self.add(line)

    def raise_any(self) -> None:
        """Raise what was collected.

        Raises:
            SettingsError: If there is any problem, with one line for each.
        """
        if self._lines:
            raise SettingsError("\n".join(self._lines))
