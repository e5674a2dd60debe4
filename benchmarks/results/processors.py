"""On what runs were timed: seconds of one processor say nothing about those of another."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.results.sources import Json

MARKS = "ᵃᵇᶜᵈᵉᶠ"


def timed_on(run: Json) -> str:
    """Name the processor of a run, and whether the optional kernels were there."""
    described = run.get("machine", {})
    cpu = described.get("cpu", "a processor that was not noted")
    return f"{cpu}, with kernels" if described.get("kernels") else cpu


class Processors:
    """The processors of many runs, each with a mark for its figures; a single one needs none.

    Args:
        runs: All runs of a table.
    """

    def __init__(self, runs: Iterable[Json]):
        self._names = list(dict.fromkeys(map(timed_on, runs)))

    def seconds(self, runs: Sequence[Json]) -> str:
        """Write the median CPU seconds of runs, for each processor that they ran on."""
        medians = []
        for name in self._names:
            measured = [run["cpu_seconds"] for run in runs if timed_on(run) == name]
            if measured:
                medians.append(f"{statistics.median(measured):,.0f} s{self._mark(name)}")
        return " / ".join(medians)

    def legend(self) -> str:
        """Explain the marks, if there are any."""
        if len(self._names) < 2:
            return ""
        named = ", ".join(f"{self._mark(name)} on {name}" for name in self._names)
        return f"Seconds were measured {named}: only those with the same mark can be compared."

    def _mark(self, name: str) -> str:
        return MARKS[self._names.index(name)] if len(self._names) > 1 else ""
