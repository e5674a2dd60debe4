"""A place in an experiment file, and what is found out there, so that all that is wrong is reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rllib_recattn.errors import SettingsError

ApiStack = Literal["new", "old"]
"""RLlib's API stacks."""


class Scope:
    """A place in an experiment: a file, a name in it, and a key path.

    All scopes that come from one with :meth:`at` share what they collect.

    Args:
        where: The place, with which every message begins.
        stack: The API stack that the experiment is written for.
        findings: What another scope has collected so far, to go on with.

    Examples:
        >>> scope = Scope("my.yaml: maze")
        >>> scope.at("stop").wrong("training_iteration", "ten", "should be a number")
        >>> scope.missing("env", "write e.g. env: CartPole-v1")
        >>> for line in scope.problems:
        ...     print(line)
        my.yaml: maze.stop: training_iteration = 'ten': should be a number
        my.yaml: maze.env is missing: write e.g. env: CartPole-v1
    """

    def __init__(self, where: str, stack: ApiStack = "new", findings: tuple[list[str], list[str]] | None = None):
        self.where = where
        self.stack = stack
        self._problems, self._notes = findings or ([], [])

    def __str__(self) -> str:
        return self.where

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each."""
        return tuple(self._problems)

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, a sentence each."""
        return tuple(self._notes)

    def at(self, *keys: str) -> Scope:
        """Return the scope of a key below this one, or of a key below that."""
        return self.called(".".join((self.where, *keys)))

    def item(self, index: int) -> Scope:
        """Return the scope of an item of a list."""
        return self.called(f"{self.where}[{index}]")

    def called(self, where: str) -> Scope:
        """Return a scope of another place, such as an option of the command line."""
        return Scope(where, self.stack, (self._problems, self._notes))

    def apart(self) -> Scope:
        """Return a scope of this place that collects for itself."""
        return Scope(self.where, self.stack)

    def problem(self, text: str) -> None:
        """Say what is wrong here and what would be right; nothing is said twice."""
        self.take([f"{self.where}: {text}"])

    def wrong(self, key: str, value: Any, advice: str) -> None:
        """Say that a value is wrong, and what would be right."""
        self.problem(f"{key} = {value!r}: {advice}")

    def missing(self, key: str, advice: str) -> None:
        """Say that a key is missing, and what to write."""
        self.take([f"{self.where}.{key} is missing: {advice}"])

    def take(self, lines: Iterable[str]) -> None:
        """Add problems that name their place themselves."""
        self._problems += [line for line in dict.fromkeys(lines) if line not in self._problems]

    def note(self, text: str) -> None:
        """Leave a remark for the user."""
        self._notes.append(f"{self.where}: {text}")

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the problems of a :class:`SettingsError` that the body raises, and go on after it."""
        try:
            yield
        except SettingsError as error:
            self.take(str(error).splitlines())

    def raise_problems(self) -> None:
        """Raise what was collected.

        Raises:
            SettingsError: If there is any problem, with one line for each.
        """
        if self._problems:
            raise SettingsError("\n".join(self._problems))
