"""The parts of the project's README that benchmarks write."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def write_between(marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks in the project's README."""
    begin, end = marks
    before, rest = README.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
