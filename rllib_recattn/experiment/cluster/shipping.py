"""This package on nodes that lack it or have another version of it: Ray sends it along with the experiment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rllib_recattn.experiment.cluster.nodes import PACKAGE, Node, NodeFacts


def nodes_that_lack_it(nodes: Sequence[Node], driver: NodeFacts) -> list[Node]:
    """Return the nodes that do not have this package as the driver has it."""
    return [node for node in nodes if node.facts and node.facts.package_digest != driver.package_digest]


def what_it_has(node: Node, driver: NodeFacts) -> str:
    """Say what a node has in the place of this package, in one clause."""
    assert node.facts is not None
    if node.facts.package_digest is None:
        return f"{node.label} has no {PACKAGE}"
    if node.facts.package_version != driver.package_version:
        return f"{node.label} has {PACKAGE} {node.facts.package_version}, not {driver.package_version}"
    return f"{node.label} has other source files of {PACKAGE} {node.facts.package_version}"


def shipped_package() -> dict[str, Any]:
    """Return the runtime environment with which Ray sends this process's package to every node."""
    directory = Path(__file__).parents[2]
    return {"py_modules": [str(directory)], "excludes": ["__pycache__"]}
