"""The tasks of the probe: sequences of symbols, and what a memory should answer at which step.

A step shows one symbol, or two beside each other where a key comes with its value; all tasks share one alphabet, so
that a model has the same size for each. Answers are uniform: who remembers nothing is right in one of `n_classes`
cases, and no better however long it learns.

"pairs" is recall among many keys, MQAR (arXiv 2312.04927), but that a key and its value come in one step, as they would
in an observation. In two steps, as published, it takes more updates than there is time for here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rllib_recattn.errors import SettingsError, suggest

N_SYMBOLS = 24
"""Symbols of the alphabet: the features of a step, each 1 where its symbol is shown and else 0."""

NOT_ASKED = -1
"""The answer where a step asks for none."""

NO_SYMBOL = -1

_N_PAIRS, _N_KEYS, _N_VALUES = 8, 16, 8
_MOST_COUNTED = 7


@dataclass(frozen=True)
class Sequences:
    """Rows of sequences.

    Attributes:
        symbols: What each step shows [B, T, 2], with `NO_SYMBOL` where there is no second one.
        answers: What is right at each step [B, T], with `NOT_ASKED` where nothing is asked.
    """

    symbols: NDArray[np.int64]
    answers: NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        name: As in `--tasks`.
        description: What is to be remembered, in one line.
        n_classes: How many answers there are, equally likely.
        length: How long the sequences are that a model learns with, in the unit that `draw` takes.
        draw: Draws B sequences of a length.
        n_rows: B, how many sequences a model learns with at once.
        beyond: By how many times longer ones it is tested as well.
    """

    name: str
    description: str
    n_classes: int
    length: int
    draw: Callable[[np.random.Generator, int, int], Sequences]
    n_rows: int = 32
    beyond: tuple[int, ...] = ()

    @property
    def chance(self) -> float:
        """The share of right answers of a model that remembers nothing."""
        return 1 / self.n_classes


def find_tasks(names: Sequence[str] | None) -> list[Task]:
    """Return the tasks of these names, in their usual order; all, if None.

    Raises:
        SettingsError: If there is no such task, or none is named.
    """
    if names is None:
        return list(TASKS.values())
    for name in names:
        if name not in TASKS:
            raise SettingsError(f"tasks: unknown task {name!r}: {suggest(str(name), TASKS)}")
    if not names:
        raise SettingsError(f"tasks: should name at least one; valid are: {', '.join(TASKS)}")
    return [task for name, task in TASKS.items() if name in names]


def draw_recall(generator: np.random.Generator, n_rows: int, length: int) -> Sequences:
    """Show one of two cues, and ask for it after `length` steps; others are between."""
    cues = generator.integers(2, size=n_rows)
    symbols = generator.integers(2, 6, size=(n_rows, length + 1))
    symbols[:, 0] = cues
    symbols[:, -1] = 6
    answers = np.full_like(symbols, NOT_ASKED)
    answers[:, -1] = cues
    return _one_a_step(symbols, answers)


def draw_repeat(lag: int) -> Callable[[np.random.Generator, int, int], Sequences]:
    """Return what draws sequences of one of four symbols, each to be repeated `lag` steps later."""

    def draw(generator: np.random.Generator, n_rows: int, length: int) -> Sequences:
        symbols = generator.integers(4, size=(n_rows, length))
        answers = np.full_like(symbols, NOT_ASKED)
        answers[:, lag:] = symbols[:, :-lag]
        return _one_a_step(symbols, answers)

    return draw


def draw_first(generator: np.random.Generator, n_rows: int, length: int) -> Sequences:
    """Show one of four symbols a step, the first marked as such, and ask for that in every later step."""
    symbols = generator.integers(4, size=(n_rows, length))
    answers = np.repeat(symbols[:, :1], length, axis=1)
    answers[:, 0] = NOT_ASKED
    symbols[:, 0] += 4
    return _one_a_step(symbols, answers)


def draw_pairs(generator: np.random.Generator, n_rows: int, length: int) -> Sequences:
    """Show `length` keys, each beside its value, and then ask for the value of each, in another order."""
    keys = generator.permuted(np.tile(np.arange(_N_KEYS), (n_rows, 1)), axis=1)[:, :length]
    values = generator.integers(_N_VALUES, size=(n_rows, length))
    order = generator.permuted(np.tile(np.arange(length), (n_rows, 1)), axis=1)
    symbols = np.full((n_rows, 2 * length, 2), NO_SYMBOL)
    symbols[:, :length] = np.stack([keys, _N_KEYS + values], axis=-1)
    symbols[:, length:, 0] = np.take_along_axis(keys, order, axis=1)
    answers = np.full((n_rows, 2 * length), NOT_ASKED)
    answers[:, length:] = np.take_along_axis(values, order, axis=1)
    return Sequences(symbols, answers)


def draw_count(generator: np.random.Generator, n_rows: int, length: int) -> Sequences:
    """Show one symbol between none and seven times among others, and ask at the end how often."""
    counts = generator.integers(_MOST_COUNTED + 1, size=n_rows)
    symbols = generator.integers(1, 5, size=(n_rows, length + 1))
    places = generator.permuted(np.tile(np.arange(length), (n_rows, 1)), axis=1)
    symbols[:, :-1][places < counts[:, None]] = 0
    symbols[:, -1] = 5
    answers = np.full_like(symbols, NOT_ASKED)
    answers[:, -1] = counts
    return _one_a_step(symbols, answers)


def draw_rewrite(generator: np.random.Generator, n_rows: int, length: int) -> Sequences:
    """Show a cue of four in one of eight steps, the first one among them, and ask now and then for the newest."""
    kinds = generator.integers(8, size=(n_rows, length))
    kinds[:, 0], kinds[:, -1] = 0, 1
    is_cue, asks = kinds == 0, kinds == 1
    cues = generator.integers(4, size=(n_rows, length))
    newest = np.maximum.accumulate(np.where(is_cue, np.arange(length), 0), axis=1)
    symbols = generator.integers(4, 8, size=(n_rows, length))
    symbols[is_cue] = cues[is_cue]
    symbols[asks] = 8
    answers = np.where(asks, np.take_along_axis(cues, newest, axis=1), NOT_ASKED)
    return _one_a_step(symbols, answers)


def _one_a_step(symbols: NDArray[np.int64], answers: NDArray[np.int64]) -> Sequences:
    return Sequences(np.stack([symbols, np.full_like(symbols, NO_SYMBOL)], axis=-1), answers)


_ALL = [
    Task("recall-40", "a bit that was shown 40 steps ago, once", 2, 40, draw_recall),
    Task("recall-160", "a bit that was shown 160 steps ago, once", 2, 160, draw_recall, n_rows=16),
    Task("repeat-3", "the symbol of 3 steps ago, at every step", 4, 24, draw_repeat(3)),
    Task("repeat-8", "the symbol of 8 steps ago, at every step", 4, 32, draw_repeat(8)),
    Task("repeat-32", "the symbol of 32 steps ago, at every step", 4, 64, draw_repeat(32)),
    Task("first", "the first symbol of a sequence, at every step", 4, 48, draw_first),
    Task("pairs", "the values of eight keys, asked for by key", _N_VALUES, _N_PAIRS, draw_pairs),
    Task("count", "how often a symbol has come, 0 to 7 times", _MOST_COUNTED + 1, 32, draw_count),
    Task("rewrite", "the newest of several cues", 4, 40, draw_rewrite),
    Task("beyond", "a bit, learned over 20 steps and tested over 40 and 160", 2, 20, draw_recall, beyond=(2, 8)),
]
TASKS = {task.name: task for task in _ALL}
"""The tasks by name."""
