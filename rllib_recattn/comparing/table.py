"""A comparison as a table: for a terminal, and in Markdown."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from rllib_recattn.comparing import INTERVALS_FROM
from rllib_recattn.comparing.rates import rate_text
from rllib_recattn.comparing.summary import Comparison, ModelSummary
from rllib_recattn.experiment.reports.text import MISSING, duration_text


def columns(comparison: Comparison) -> list[str]:
    """Return the headings."""
    goal = ["solved", "steps until\nsolved", "time until\nsolved"] if comparison.has_goal else []
    better = [f"better than\n{comparison.verdict.leader}"] if len(comparison.models) > 1 else []
    cost = ["learning\nrate", "para-\nmeters", "state", "µs per\nstep", "µs per\nrow", "s per\n100k steps"]
    return ["model", *goal, comparison.measure, *better, *cost]


def rows(comparison: Comparison) -> list[list[str]]:
    """Return the cells, a row for each model, those that were seen to be ahead first."""
    return [_row(comparison, model) for model in comparison.ranked]


def print_table(comparison: Comparison, console: Console) -> None:
    """Print the table, as wide as it is."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, heading in enumerate(columns(comparison)):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for row in rows(comparison):
        table.add_row(*row)
    width = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    wide = console if console.width >= width else Console(file=console.file, width=width)
    wide.print(table, highlight=False, markup=False)


def markdown_table(comparison: Comparison) -> str:
    """Write the table in Markdown."""
    headings = [heading.replace("-\n", "").replace("\n", " ") for heading in columns(comparison)]
    lines = [headings, ["---" if index == 0 else "---:" for index in range(len(headings))], *rows(comparison)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _row(comparison: Comparison, model: ModelSummary) -> list[str]:
    cells = [model.contender.label]
    if comparison.has_goal:
        cells += [f"{model.n_solved} of {len(model.runs)}", _steps(model), _seconds(model)]
    cells.append(score_text(model))
    if len(comparison.models) > 1:
        cells.append(_against_leader(comparison, model))
    cost, contender = model.cost, model.contender
    rates = sorted({rate_text(run.learning_rate) for run in model.runs})
    return [
        *cells,
        ", ".join(rates),
        f"{contender.parameters:,}",
        f"{contender.state_size:,}",
        f"{cost.acting:,.0f}",
        f"{cost.learning:,.0f}",
        f"{model.seconds_per_100k:,.0f}",
    ]


def score_text(model: ModelSummary) -> str:
    """Write scores: ``0.97 [0.93, 0.99]`` of five seeds or more, else those of all seeds: ``0.97 0.52``."""
    if len(model.runs) < INTERVALS_FROM or model.score_bounds is None:
        return " ".join(f"{score:.2f}" for score in model.scores)
    return f"{model.score:.2f} [{model.score_bounds.low:.2f}, {model.score_bounds.high:.2f}]"


def _steps(model: ModelSummary) -> str:
    """Write the steps of each of a few seeds, ``>`` for one that did not solve the task; else the median."""
    if len(model.runs) < INTERVALS_FROM:
        return " ".join(
            f"> {_thousands(run.steps)}" if run.solved_steps is None else _thousands(run.solved_steps)
            for run in model.runs
        )
    median = model.survival.median
    return f"> {_thousands(max(run.steps for run in model.runs))}" if median is None else _thousands(median)


def _seconds(model: ModelSummary) -> str:
    return MISSING if model.median_seconds is None else duration_text(model.median_seconds)


def _against_leader(comparison: Comparison, model: ModelSummary) -> str:
    label = model.contender.label
    if label == comparison.verdict.leader:
        return MISSING
    pair = comparison.verdict.with_leader(label)
    ahead = pair.better == label
    probability = pair.probability if ahead else 1 - pair.probability
    if pair.bounds is None:
        return f"{100 * probability:.0f} %, p {pair.adjusted_p:.2g}"
    low, high = (pair.bounds.low, pair.bounds.high) if ahead else (1 - pair.bounds.high, 1 - pair.bounds.low)
    return f"{100 * probability:.0f} % [{100 * low:.0f}, {100 * high:.0f}], p {pair.adjusted_p:.2g}"


def _thousands(steps: float) -> str:
    return f"{steps / 1000:,.0f}k" if steps >= 1000 else f"{steps:.0f}"
