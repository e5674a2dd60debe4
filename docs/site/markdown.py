"""Small pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells may be Markdown, and bars in them are escaped."""
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    lines = [headings, ["---"] * len(headings), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def code(text: object) -> str:
    """Return text as inline code; nothing as nothing."""
    return f"`{text}`" if str(text) else ""


def plain(text: str) -> str:
    """Turn reStructuredText's roles and double backticks, as docstrings have them, into inline code."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda role: f"`{role[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def attributes(docstring: str | None) -> dict[str, str]:
    """Return what a docstring in Google's style says of each attribute."""
    section = re.search(r"\n *Attributes:\n(.*?)(?:\n *\n|\Z)", docstring or "", re.DOTALL)
    if section is None:
        return {}
    found: dict[str, str] = {}
    indent = len(section[1]) - len(section[1].lstrip(" "))
    for line in section[1].splitlines():
        name, colon, text = line.strip().partition(": ")
        if len(line) - len(line.lstrip(" ")) == indent and colon:
            found[name] = text
        elif found:
            found[next(reversed(found))] += f" {line.strip()}"
    return {name: plain(text.strip()) for name, text in found.items()}
