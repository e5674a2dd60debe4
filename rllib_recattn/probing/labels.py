"""What a probe calls a model with settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def label_of(block: Mapping[str, Any]) -> str:
    """Return a model's name, followed by the settings that are given: ``gla (conv_size 4)``."""
    settings = [f"{key} {_text(value)}" for key, value in block.items() if key != "name"]
    return f"{block['name']} ({', '.join(settings)})" if settings else block["name"]


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        return label_of(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
