"""A table of trials, as wide and as long as there is room."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.metrics import metric_label
from rllib_recattn.experiment.records.settings import short_names, value_text
from rllib_recattn.experiment.records.trials import Mode
from rllib_recattn.experiment.reports.text import count_text, duration_text, number_text, trials_text

BEST = "★"

_STATUS_STYLES = {"running": "cyan", "finished": "green", "failed": "red"}
_HEADINGS = {metrics.RETURN: "return", metrics.SUCCESS: "success"}
# What gives way in a narrow terminal, first to last.
_DISPENSABLE = ("elapsed", "iterations", "return", "status")


@dataclass(frozen=True)
class TrialRow:
    """What a table shows of a trial. Numbers that are not known yet are NaN.

    Attributes:
        name: Its name.
        choices: Key path → value.
        status: One word or two, such as ``running`` and ``stopped early``.
        iteration: How many iterations it has trained.
        env_steps: How many environment steps it has sampled.
        seconds: How long it has trained.
        last: The newest value of the metric by which trials are compared.
        best: The best value of that metric.
        episode_return: The newest mean return.
        success_rate: The newest success rate.
    """

    name: str
    choices: Mapping[str, Any]
    status: str
    iteration: float
    env_steps: float
    seconds: float
    last: float
    best: float
    episode_return: float
    success_rate: float


def best_row(rows: Sequence[TrialRow], mode: Mode) -> TrialRow | None:
    """Return the trial with the best value of the metric; None while there is none."""
    known = [row for row in rows if not math.isnan(row.best)]
    choose: Callable[..., TrialRow] = max if mode == "max" else min
    return choose(known, key=lambda row: row.best) if known else None


def trial_table(
    rows: Sequence[TrialRow],
    metric: str,
    mode: Mode,
    console: Console,
    *,
    max_rows: int | None = None,
    planned: int = 0,
) -> Table:
    """Make a table with a row per trial, the best one marked.

    Args:
        rows: The trials, in the order in which they are shown.
        metric: The metric by which they are compared.
        mode: Whether a high or a low value is good.
        console: Where it is to be printed; columns that find no room are left out.
        max_rows: How many rows there is room for; None: all. The best trial, running ones and good ones come first.
        planned: How many trials there were to be, for the caption where there are fewer rows.

    Returns:
        The table, which a caption ends that counts the trials.
    """
    best = best_row(rows, mode)
    shown = rows if max_rows is None else _most_telling(rows, best, mode, max_rows)
    columns = _columns(rows, metric)
    dispensable = [heading for heading in _DISPENSABLE if heading != _HEADINGS.get(metric)]
    while True:
        table = _table(shown, columns, best)
        if not console.is_terminal or _width(table, console) <= console.width or not dispensable:
            break
        columns.pop(dispensable.pop(0), None)
    counts = Counter(row.status for row in rows)
    caption = f"{trials_text(len(rows), planned)}: " + ", ".join(
        f"{count} {status}" for status, count in counts.items()
    )
    if planned > len(rows):
        caption += f"; {planned - len(rows)} without a result"
    if len(shown) < len(rows):
        caption += f"; {len(rows) - len(shown)} not shown"
    table.caption = caption
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table; where the output is no terminal, as wide as it is, so that files keep every column."""
    if not console.is_terminal:
        console = Console(file=console.file, width=_width(table, console), highlight=False)
    console.print(table, soft_wrap=False)


def _columns(rows: Sequence[TrialRow], metric: str) -> dict[str, tuple[str, Callable[[TrialRow], str]]]:
    """Return heading → justification and the text of a cell."""
    keys = list(dict.fromkeys(key for row in rows for key in row.choices))
    columns: dict[str, tuple[str, Callable[[TrialRow], str]]] = {"trial": ("left", lambda row: row.name)}
    for key, short in short_names(keys).items():
        is_number = any(_is_number(row.choices.get(key)) for row in rows)
        columns[short] = ("right" if is_number else "left", _choice(key))
    columns["status"] = ("left", lambda row: row.status)
    columns["iterations"] = ("right", lambda row: count_text(row.iteration))
    columns["env steps"] = ("right", lambda row: count_text(row.env_steps))
    if metric != metrics.RETURN:
        columns[_HEADINGS[metrics.RETURN]] = ("right", lambda row: number_text(row.episode_return))
    if metric != metrics.SUCCESS and not all(math.isnan(row.success_rate) for row in rows):
        columns[_HEADINGS[metrics.SUCCESS]] = ("right", lambda row: number_text(row.success_rate))
    columns[_HEADINGS.get(metric) or metric_label(metric)] = ("right", lambda row: number_text(row.last, 3))
    columns["best"] = ("right", lambda row: number_text(row.best, 3))
    columns["elapsed"] = ("right", lambda row: duration_text(row.seconds))
    return columns


def _choice(key: str) -> Callable[[TrialRow], str]:
    return lambda row: value_text(row.choices.get(key))


def _table(
    rows: Sequence[TrialRow], columns: Mapping[str, tuple[str, Callable[[TrialRow], str]]], best: TrialRow | None
) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption_justify="left")
    table.add_column("", width=1)
    for heading, (justify, _) in columns.items():
        table.add_column(heading, justify=justify, overflow="ellipsis", no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        style = "bold" if row is best else _STATUS_STYLES.get(row.status, "")
        table.add_row(BEST if row is best else "", *(cell(row) for _, cell in columns.values()), style=style)
    return table


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _most_telling(rows: Sequence[TrialRow], best: TrialRow | None, mode: Mode, count: int) -> list[TrialRow]:
    sign = -1 if mode == "max" else 1

    def rank(row: TrialRow) -> tuple[bool, bool, float]:
        return row is not best, row.status != "running", math.inf if math.isnan(row.best) else sign * row.best

    chosen = {row.name for row in sorted(rows, key=rank)[: max(count, 1)]}
    return [row for row in rows if row.name in chosen]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
