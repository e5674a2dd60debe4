"""What the README shows of the results: two figures and what they say, and which model to take."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

from benchmarks.readme import write_between
from benchmarks.results import choosing, cost
from benchmarks.results.page import figure
from benchmarks.results.phrases import growth, reached
from benchmarks.results.sources import Sources

BEGIN, END = "<!-- results: written by python -m benchmarks.results -->", "<!-- end of results -->"
REACHED = (
    "Seeds that solved T-Mazes of growing length, at equal steps, of all that were run; a model that a line does not "
    "name was not run there:"
)
SHOWN = ("cost-by-context", "success-by-corridor")


def block(sources: Sources, drawn: Sequence[str]) -> str:
    """Write the block, with those of the two figures that there are."""
    images = {name: figure(name, "docs/images/results") for name in SHOWN if name in drawn}
    parts = []
    if SHOWN[0] in images:
        grown = growth(sources.read(cost.COST))
        parts += [f"AGaLiTe costs the same however far back it remembers; GTrXL takes {grown}.", images[SHOWN[0]]]
    if SHOWN[1] in images:
        solved = reached(sources.memory("grid"))
        parts += [f"{REACHED}\n\n{dedent(solved)}", images[SHOWN[1]]]
    return "\n\n".join(parts)


def write_block(sources: Sources, drawn: Sequence[str]) -> None:
    """Put the blocks between their marks in the project's README."""
    write_between((BEGIN, END), block(sources, drawn))
    write_between(choosing.MARKS, choosing.choosing_table(sources))
