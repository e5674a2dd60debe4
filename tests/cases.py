"""Choices of cases where all combinations would take long and show no more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def in_turns(first: Iterable[Any], second: Iterable[Any], third: Iterable[Any]) -> list[tuple[Any, Any, Any]]:
    """Return all pairs of the first two choices, each with one of the third in turns: it meets most of both."""
    seconds, thirds = list(second), list(third)
    return [(a, b, thirds[(i + j) % len(thirds)]) for i, a in enumerate(first) for j, b in enumerate(seconds)]
