"""What was found out about a cluster, for a reader."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rllib_recattn.experiment.cluster.nodes import PACKAGE, Node, NodeFacts, driver_facts
from rllib_recattn.experiment.cluster.prepare import Examination

_MARKS = {"problem": ("✗", "bold red"), "note": ("!", "yellow"), "ok": ("✓", "green")}
_SHOWN = ("ray", "torch")  # differences of the others are among the findings
_MIN_WIDTH = 120  # where the output goes to a file


def print_examination(examination: Examination, console: Console | None = None) -> None:
    """Print a table of the nodes, what differs from this process marked, and a line for each finding.

    Args:
        examination: What was found.
        console: Where to print; None: to standard output.
    """
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = max(console.width, _MIN_WIDTH)
    if examination.nodes:
        console.print(_table(examination.nodes))
    for finding in sorted(examination.findings, key=lambda finding: list(_MARKS).index(finding.level), reverse=True):
        mark, style = _MARKS[finding.level]
        console.print(Text.assemble((mark, style), " ", finding.text))


def _table(nodes: Sequence[Node]) -> Table:
    driver = driver_facts()
    columns = ("node", "host", "CPUs", "GPUs", "memory", "Python", *_SHOWN, PACKAGE, "interface")
    rows = [[*map(Text, [*_place(node), *_amounts(node)]), *_software(node.facts, driver)] for node in nodes]
    # Memory and interface are what Ray says of nodes: a machine without Ray has none.
    shown = [index for index in range(len(columns)) if any(len(row) > index and row[index] for row in rows)]
    table = Table(*(columns[index] for index in shown), box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(row[index] for index in shown if index < len(row)))
    return table


def _place(node: Node) -> list[str]:
    return [node.address, node.facts.hostname if node.facts else ""]


def _amounts(node: Node) -> list[str]:
    memory = node.resources.get("memory")
    return [
        f"{node.resources.get('CPU', 0):g}",
        f"{node.resources.get('GPU', 0):g}",
        "" if memory is None else f"{memory / 2**30:.1f} GiB",
    ]


def _software(facts: NodeFacts | None, driver: NodeFacts) -> list[Text]:
    if facts is None:
        return [Text("no answer", style="bold red")]
    return [
        _beside(facts.python, driver.python),
        *(_beside(facts.versions[name], driver.versions[name]) for name in _SHOWN),
        _beside(facts.package_version, driver.package_version, same=facts.package_digest == driver.package_digest),
        Text(facts.gloo_interface or facts.interface or ""),
    ]


def _beside(there: str | None, here: str | None, same: bool = True) -> Text:
    if there == here and same:
        return Text(there or "none")
    return Text(f"{there or 'none'} ({f'here {here}' if there != here else 'changed'})", style="bold yellow")
