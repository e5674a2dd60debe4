"""What a probe has found, and the file that it is kept in."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from rllib_recattn.errors import Settings, SettingsError


class Cell(Settings):
    """A model that has learned a task from scratch, with one seed.

    Attributes:
        updates: After how many updates 95 % were right; None if they never were.
        ended_after: After how many learning ended: with the budget, or at 99.5 %.
        right: The share of right answers in the end, on unseen sequences.
        beyond: The same on longer ones, by how many times longer they are.
        cpu_seconds: How long it took.
        machine: Which of the result's machines.
    """

    updates: int | None
    ended_after: int
    right: float
    beyond: dict[int, float]
    cpu_seconds: float
    machine: int = 0


class ProbedModel(Settings):
    """A model and its cells.

    Attributes:
        block: Its name and its settings, with the sizes that were found.
        parameters: How many it has, the layer that answers aside.
        searched: Whether its width was searched for; else its settings say its size.
        state_size: S, the numbers of its state.
        fingerprint: What it puts out untrained, which tells whether it is still the same model.
        cells: By task and seed.
    """

    block: dict[str, Any]
    parameters: int
    searched: bool
    state_size: int
    fingerprint: tuple[float, float, float, float]
    cells: dict[str, dict[int, Cell]] = Field(default_factory=dict)


class ProbeSettings(Settings):
    """What cells must have in common to stand in one table.

    Attributes:
        budget: The most updates of a cell.
        parameters: How many a model was to have.
    """

    budget: int
    parameters: int


class Column(Settings):
    """A column of the table: a task, or a task with longer sequences.

    Attributes:
        task: The task's name.
        description: What is to be remembered.
        times: How many times longer the sequences are than the learned ones.
        chance: The share of right answers without a memory.
    """

    task: str
    description: str
    times: int = 1
    chance: float

    @property
    def heading(self) -> str:
        """What stands above it: ``repeat-3``, ``beyond 2×``."""
        return self.task if self.times == 1 else f"{self.task} {self.times}×"

    @property
    def stacked_heading(self) -> str:
        """The same, a word a line."""
        return self.heading.replace("-", "\n").replace(" ", "\n")

    def right(self, cell: Cell) -> float:
        """Return a cell's share of right answers in this column."""
        return cell.right if self.times == 1 else cell.beyond[self.times]


class Score(Settings):
    """What the seeds of a model came to in a column.

    Attributes:
        updates: The median updates until 95 % were right; None unless they were with every seed, and for longer
            sequences than the learned ones.
        right: The median share of right answers in the end.
        above_chance: The same from 0 for chance to 1 for all.
        solved: How many seeds got 95 % right; of longer sequences in the end.
        seeds: How many there are.
    """

    updates: float | None
    right: float
    above_chance: float
    solved: int
    seeds: int


class ProbeResult(Settings):
    """The result of :func:`rllib_recattn.probe`.

    Attributes:
        version: Of this form.
        settings: What all cells have in common.
        machines: Where cells were computed, with the versions of packages.
        columns: Those of the table.
        models: By label, in the order in which they were first asked for.
    """

    version: Literal[1] = 1
    settings: ProbeSettings
    machines: list[dict[str, Any]] = Field(default_factory=list)
    columns: list[Column] = Field(default_factory=list)
    models: dict[str, ProbedModel] = Field(default_factory=dict)

    def score(self, label: str, column: Column) -> Score | None:
        """Return what the seeds of a model came to in a column; None if there is no cell."""
        cells = list(self.models[label].cells.get(column.task, {}).values())
        if not cells:
            return None
        learned = column.times == 1
        rights = [column.right(cell) for cell in cells]
        updates = [cell.updates for cell in cells if cell.updates is not None]
        right = statistics.median(rights)
        return Score(
            updates=float(statistics.median(updates)) if learned and len(updates) == len(cells) else None,
            right=right,
            above_chance=min(1.0, max(0.0, (right - column.chance) / (1 - column.chance))),
            solved=len(updates) if learned else sum(share >= 0.95 for share in rights),
            seeds=len(cells),
        )

    def ranked(self) -> list[str]:
        """Return the labels of models that have learned anything, the best first.

        They are compared by the mean share above chance, a task that is still to be learned counting as chance, and
        then by how soon tasks were solved.
        """

        def rank(label: str) -> tuple[float, float]:
            scores = [self.score(label, column) for column in self.columns]
            shares = [0.0 if score is None else score.above_chance for score in scores]
            soon = [score.updates for score in scores if score is not None and score.updates is not None]
            return -statistics.mean(shares), sum(soon) + self.settings.budget * (len(scores) - len(soon))

        return sorted((label for label, model in self.models.items() if any(model.cells.values())), key=rank)

    def only(self, labels: Sequence[str], tasks: Sequence[str]) -> ProbeResult:
        """Return the part of it that is about some models and tasks."""
        models = {}
        for label in labels:
            cells = self.models[label].cells
            kept = {task: cells[task] for task in tasks if task in cells}
            models[label] = self.models[label].model_copy(update={"cells": kept})
        columns = [column for column in self.columns if column.task in tasks]
        return self.model_copy(update={"columns": columns, "models": models})


def read_result(path: Path) -> ProbeResult | None:
    """Read a result; None if there is no such file.

    Raises:
        SettingsError: If the file holds something else, or cannot be read.
    """
    try:
        return ProbeResult.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{str(path)!r}: cannot be read: {(error.strerror or str(error)).lower()}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise SettingsError(
            f"{str(path)!r}: is no result of this version of `rllib probe` ({key or 'the file'}: {problem['msg']}); "
            "name another file"
        ) from error


def write_result(result: ProbeResult, path: Path) -> None:
    """Write a result; a reader, or a process that is killed, finds the old file or the new one, both whole."""
    path = path.resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
