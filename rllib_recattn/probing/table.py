"""A probe's result as tables for a terminal, as many beside its width as are needed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rllib_recattn.probing.result import Column, ProbeResult, Score

NOTHING = "–"
CHANCE = "chance"
_NEAR_CHANCE = 0.1


def probe_tables(result: ProbeResult, console: Console) -> list[Table]:
    """Return the tables of a result, a row for each model and a column for each task, best models first.

    Args:
        result: The result.
        console: Where they are to be printed. In a terminal columns that find no room go into another table; a file
            gets one table, as wide as it is.
    """
    columns, tables = list(result.columns), []
    while columns:
        n_shown = len(columns)
        while (
            console.is_terminal and n_shown > 1 and _width(_table(result, columns[:n_shown]), console) > console.width
        ):
            n_shown -= 1
        tables.append(_table(result, columns[:n_shown]))
        columns = columns[n_shown:]
    return tables


def print_tables(result: ProbeResult, console: Console) -> None:
    """Print the tables of a result; see :func:`probe_tables`."""
    for table in probe_tables(result, console):
        wide = console if console.is_terminal else Console(file=console.file, width=_width(table, console))
        wide.print(table, highlight=False, markup=False)


def score_text(score: Score | None) -> str:
    """Write a score: ``162`` updates, or ``78 %`` right, with ``2/3`` where so many seeds got 95 % right."""
    if score is None:
        return NOTHING
    if score.updates is not None:
        return f"{score.updates:.0f}"
    some = f" {score.solved}/{score.seeds}" if 0 < score.solved < score.seeds else ""
    return f"{percent(score.right)}{some}"


def percent(share: float) -> str:
    """Write a share in percent, and none as 100 % that is less."""
    return f"{100 * share:.0f} %" if share == 1 or share < 0.995 else "99 %"


def explanation(result: ProbeResult) -> str:
    """Say in a few lines what the numbers of a table are."""
    counts = [len(cells) for model in result.models.values() for cells in model.cells.values()]
    least, most = (min(counts), max(counts)) if counts else (0, 0)
    of_seeds = (
        "one seed" if most == 1 else f"median of {least} to {most} seeds" if least < most else f"median of {most} seeds"
    )
    lines = [
        f"A number: updates until 95 % of the answers are right; a share: what is right, on unseen sequences, where "
        f"{result.settings.budget:,} do not suffice ({of_seeds}). Best first, by the mean share above chance."
    ]
    if any(column.times > 1 for column in result.columns):
        lines.append("beyond: right on sequences so many times longer than those that were learned.")
    unequal = [
        f"{label} {model.parameters:,}" for label, model in result.models.items() if _unequal(model.parameters, result)
    ]
    if unequal:
        lines.append(f"Sizes differ from {result.settings.parameters:,} parameters: {'; '.join(unequal)}.")
    return "\n".join(lines)


def _unequal(parameters: int, result: ProbeResult) -> bool:
    return not 0.9 <= parameters / result.settings.parameters <= 1.1


def _table(result: ProbeResult, columns: Sequence[Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("model", no_wrap=True, overflow="fold")
    table.add_column("para-\nmeters", justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column.stacked_heading, justify="right", no_wrap=True)
    for label in result.ranked():
        scores = [result.score(label, column) for column in columns]
        table.add_row(label, f"{result.models[label].parameters:,}", *map(_styled, scores))
    table.add_row(CHANCE, "", *(percent(column.chance) for column in columns), style="dim")
    return table


def _styled(score: Score | None) -> Text:
    if score is None or score.above_chance < _NEAR_CHANCE:
        return Text(score_text(score), style="dim")
    return Text(score_text(score), style="green" if score.solved == score.seeds else "")


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum
