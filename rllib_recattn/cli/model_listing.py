"""What ``rllib models`` lists, kept in a file: to build every model for the size of its state takes seconds.

``python -m rllib_recattn.cli.model_listing`` writes the file again after changes of the catalog.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rllib_recattn.models.registry import ModelInfo

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


def of_other_packages() -> list[Listed]:
    """Return the models that other packages have registered: none, unless somebody has loaded the catalog."""
    registry = sys.modules.get("rllib_recattn.models.registry")
    own = {each.name for each in read_listing()}
    return [] if registry is None else [_listed(info) for info in registry.list_models() if info.name not in own]


def listing() -> list[Listed]:
    """Return the package's own models from the catalog itself, whose models are built."""
    from rllib_recattn.models.registry import list_models

    return [_listed(info) for info in list_models() if info.settings.__module__.startswith("rllib_recattn.models.")]


def _listed(info: ModelInfo) -> Listed:
    return Listed(info.name, info.state_size, info.description, info.source)


if __name__ == "__main__":
    rows = [json.dumps(each._asdict(), ensure_ascii=False) for each in listing()]
    FILE.write_text("[\n " + ",\n ".join(rows) + "\n]\n", encoding="utf-8")
