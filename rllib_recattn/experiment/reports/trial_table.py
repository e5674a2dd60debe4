"""A table of trials, or of configurations with several seeds, as wide and as long as there is room."""

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
from rllib_recattn.experiment.records.measure import WINDOW, Measure
from rllib_recattn.experiment.records.metrics import metric_label
from rllib_recattn.experiment.records.trial_settings import short_names, value_text
from rllib_recattn.experiment.reports.text import count_text, duration_text, number_text, trials_text

BEST = "★"

_STATUS_STYLES = {"running": "cyan", "finished": "green", "failed": "red"}
_HEADINGS = {metrics.RETURN: "return", metrics.SUCCESS: "success"}
_RANK_HEADINGS = {"mean_of_last_10": f"mean of {WINDOW}", "best": "best"}
# What gives way in a narrow terminal, first to last.
_DISPENSABLE = ("elapsed", "iterations", "return", "status")


@dataclass(frozen=True)
class TrialRow:
    """What a table shows of a trial, or of several with the same settings. Numbers that are not known yet are NaN.

    Attributes:
        name: Its name.
        choices: Key path → value.
        statuses: One word or two for each of the trials, such as ``running`` and ``stopped early``.
        iteration: How many iterations it has trained.
        env_steps: How many environment steps it has sampled.
        seconds: How long it has trained.
        last: The newest value of the metric by which trials are compared.
        value: What it is worth: that value, or another one of the metric, or the mean over seeds.
        episode_return: The newest mean return.
        success_rate: The newest success rate.
        seeds: Of how many seeds `value` is the mean; empty where each trial stands for itself.
        spread: The standard deviation of `value` over seeds.
        is_best: Whether it is marked as the best.
    """

    name: str
    choices: Mapping[str, Any]
    statuses: tuple[str, ...]
    iteration: float
    env_steps: float
    seconds: float
    last: float
    value: float
    episode_return: float
    success_rate: float
    seeds: str = ""
    spread: float = math.nan
    is_best: bool = False

    @property
    def status(self) -> str:
        """One status, or how many trials have which."""
        counts = Counter(self.statuses)
        return next(iter(counts)) if len(counts) == 1 else _counts_text(counts)


def trial_table(
    rows: Sequence[TrialRow],
    measure: Measure,
    console: Console,
    *,
    max_rows: int | None = None,
    planned: int = 0,
    of_best_iteration: bool = False,
) -> Table:
    """Make a table with a row per trial, the best one marked.

    Args:
        rows: The trials, in the order in which they are shown.
        measure: What they are compared by.
        console: Where it is to be printed; columns that find no room are left out.
        max_rows: How many rows there is room for; None: all. The best trial, running ones and good ones come first.
        planned: How many trials there were to be, for the caption where there are fewer rows.
        of_best_iteration: Whether a row is all of the iteration of its best value, settings included.

    Returns:
        The table, which a caption ends that counts the trials.
    """
    shown = rows if max_rows is None else _most_telling(rows, measure, max_rows)
    columns = _columns(rows, measure)
    if of_best_iteration:
        columns.pop(_RANK_HEADINGS["best"], None)  # is the metric itself
    dispensable = [heading for heading in _DISPENSABLE if heading != _HEADINGS.get(measure.metric)]
    while True:
        table = _table(shown, columns)
        if not console.is_terminal or _width(table, console) <= console.width or not dispensable:
            break
        columns.pop(dispensable.pop(0), None)
    counts = Counter(status for row in rows for status in row.statuses)
    caption = f"{trials_text(counts.total(), planned)}: {_counts_text(counts)}"
    if planned > counts.total():
        caption += f"; {planned - counts.total()} without a result"
    if len(shown) < len(rows):
        caption += f"; {len(rows) - len(shown)} not shown"
    if of_best_iteration:
        caption += "; each row is of the iteration of its best value"
    table.caption = caption
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table; where the output is no terminal, as wide as it is, so that files keep every column."""
    if not console.is_terminal:
        console = Console(file=console.file, width=_width(table, console), highlight=False)
    console.print(table, soft_wrap=False)


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _columns(rows: Sequence[TrialRow], measure: Measure) -> dict[str, tuple[str, Callable[[TrialRow], str]]]:
    """Return heading → justification and the text of a cell."""
    keys = list(dict.fromkeys(key for row in rows for key in row.choices))
    columns: dict[str, tuple[str, Callable[[TrialRow], str]]] = {"trial": ("left", lambda row: row.name)}
    for key, short in short_names(keys).items():
        is_number = any(_is_number(row.choices.get(key)) for row in rows)
        columns[short] = ("right" if is_number else "left", _choice(key))
    if any(row.seeds for row in rows):
        columns["seeds"] = ("right", lambda row: row.seeds)
    columns["status"] = ("left", lambda row: row.status)
    columns["iterations"] = ("right", lambda row: count_text(row.iteration))
    columns["env steps"] = ("right", lambda row: count_text(row.env_steps))
    metric = measure.metric
    if metric != metrics.RETURN:
        columns[_HEADINGS[metrics.RETURN]] = ("right", lambda row: number_text(row.episode_return))
    if metric != metrics.SUCCESS and not all(math.isnan(row.success_rate) for row in rows):
        columns[_HEADINGS[metrics.SUCCESS]] = ("right", lambda row: number_text(row.success_rate))
    columns[_HEADINGS.get(metric) or metric_label(metric)] = ("right", lambda row: number_text(row.last, 3))
    if measure.rank_by != "last":
        columns[_RANK_HEADINGS[measure.rank_by]] = ("right", lambda row: number_text(row.value, 3))
    if not all(math.isnan(row.spread) for row in rows):
        columns["±"] = ("right", lambda row: number_text(row.spread, 3))
    columns["elapsed"] = ("right", lambda row: duration_text(row.seconds))
    return columns


def _choice(key: str) -> Callable[[TrialRow], str]:
    return lambda row: value_text(row.choices.get(key))


def _table(rows: Sequence[TrialRow], columns: Mapping[str, tuple[str, Callable[[TrialRow], str]]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption_justify="left")
    table.add_column("", width=1)
    for heading, (justify, _) in columns.items():
        table.add_column(heading, justify=justify, overflow="ellipsis", no_wrap=True)  # type: ignore[arg-type]
    for row in rows:
        style = "bold" if row.is_best else _STATUS_STYLES.get(row.status, "")
        table.add_row(BEST if row.is_best else "", *(cell(row) for _, cell in columns.values()), style=style)
    return table


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _most_telling(rows: Sequence[TrialRow], measure: Measure, count: int) -> list[TrialRow]:
    def rank(row: TrialRow) -> tuple[bool, bool, float]:
        return not row.is_best, "running" not in row.statuses, measure.order(row.value)

    chosen = {row.name for row in sorted(rows, key=rank)[: max(count, 1)]}
    return [row for row in rows if row.name in chosen]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
