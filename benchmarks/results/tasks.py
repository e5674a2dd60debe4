"""All tasks on which models were trained, T-Mazes and others alike."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.measures import lengths_of
from benchmarks.results.labels import TITLES
from benchmarks.results.sources import Cells, Json


def runs_by_task(grid: Cells, learning: Mapping[str, Json]) -> dict[str, dict[str, list[Json]]]:
    """Return task, as it is written → model → its runs, in the order in which tasks are shown."""
    tasks = {
        f"T-Maze, {length} cells": {model: by_length.get(length, []) for model, by_length in grid.items()}
        for length in lengths_of(grid)
    }
    for name in (name for name in TITLES if name in learning):
        tasks[TITLES[name]] = {model: list(runs.values()) for model, runs in learning[name]["runs"].items()}
    return tasks
