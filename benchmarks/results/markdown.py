"""Tables, links and numbers in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write a table, whose first row is its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def made_by(place: str, command: str, *facts: str) -> str:
    """Say where figures come from: a place below benchmarks/, the command that writes it, and other facts if given."""
    return f"<sub>{' · '.join([f'[{place}](../benchmarks/{place})', f'`{command}`', *facts])}</sub>"


def measured_by(place: str, content: Mapping[str, Any]) -> str:
    """Say the same of a file, with the processor that its figures are from if it names one."""
    cpu = content.get("machine", {}).get("cpu")
    return made_by(place, content["command"], *([cpu] if cpu else []))


def not_measured(place: str, command: str) -> str:
    """Say that there is no result."""
    return f"Not measured yet: `{command}` writes benchmarks/{place}."


def than(ratio: float, less: str, more: str) -> str:
    """Write a ratio as a difference, such as "30 % cheaper" or "11 % dearer"; what is spared is rounded down."""
    difference = round(100 * (1 - ratio), 6)  # 0.6 is 40 % less, whatever floats make of it
    return f"{math.floor(difference)} % {less}" if difference >= 0 else f"{-difference:.0f} % {more}"


def percent(share: float) -> str:
    """Write a share in percent."""
    return f"{100 * share:.0f} %"


def listed(items: Sequence[str]) -> str:
    """Write "a, b and c"."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else list(items))


def seeds(counts: Sequence[int]) -> str:
    """Write how many seeds there are of several things, such as "1 seed" or "1 to 3 seeds"."""
    least, most = min(counts), max(counts)
    return f"{least} to {most} seeds" if least < most else f"{most} seed{'s' * (most > 1)}"


def steps(count: float) -> str:
    """Write a number of environment steps in thousands."""
    return f"{count / 1000:,.0f} k"
