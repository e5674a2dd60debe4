"""What ``rllib models`` lists, kept in a file: to build every model for the size of its state takes seconds.

``python -m rllib_recattn.cli.model_listing`` writes the file again after changes of the catalog.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_suffix(".json")


class Listed(NamedTuple):
    """A model of the catalog, as :class:`~rllib_recattn.models.registry.ModelInfo` has it."""

    name: str
    state_size: int
    description: str
    source: str


def read_listing() -> list[Listed]:
    """Return the package's own models, in the catalog's order, without importing one of them."""
    return [Listed(**each) for each in json.loads(FILE.read_text(encoding="utf-8"))]


def listing() -> list[Listed]:
    """Return the same from the catalog itself, whose models are built."""
    from rllib_recattn.models.registry import list_models

    return [
        Listed(info.name, info.state_size, info.description, info.source)
        for info in list_models()
        if info.settings.__module__.startswith("rllib_recattn.models.")
    ]


if __name__ == "__main__":
    rows = [json.dumps(each._asdict(), ensure_ascii=False) for each in listing()]
    FILE.write_text("[\n " + ",\n ".join(rows) + "\n]\n", encoding="utf-8")
