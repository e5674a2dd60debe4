"""A probe's result as a heat map: models by tasks, with its number in each field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from rllib_recattn.probing.result import ProbeResult
from rllib_recattn.probing.table import percent, score_text

# From paper to a blue that the colour-blind can tell from it, and that black or white letters can be read on.
_COLOURS = LinearSegmentedColormap.from_list("right", ["#f7f7f4", "#9ecae1", "#0b559f"])
_DARK = 0.6
_DPI = 150


def draw_probe(result: ProbeResult) -> Figure:
    """Draw a result, best models first."""
    labels, columns = result.ranked(), result.columns
    scores = [[result.score(label, column) for column in columns] for label in labels]
    widest = max(map(len, labels))
    size = (0.9 + 0.085 * widest + 0.66 * len(columns), 1.5 + 0.3 * len(labels))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    shades = [[float("nan") if score is None else score.above_chance for score in row] for row in scores]
    axis.imshow(shades, cmap=_COLOURS, vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(scores):
        for x, score in enumerate(row):
            dark = score is not None and score.above_chance > _DARK
            solved = score is not None and score.solved == score.seeds
            look: dict[str, Any] = {"color": "white" if dark else "black", "weight": "bold" if solved else "normal"}
            axis.text(x, y, score_text(score), ha="center", va="center", fontsize=8, **look)
    headings = [f"{column.stacked_heading}\n({percent(column.chance)})" for column in columns]
    axis.set_xticks(range(len(columns)), headings, fontsize=8)
    axis.set_yticks(range(len(labels)), labels, fontsize=9)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.set_xticks([x - 0.5 for x in range(1, len(columns))], minor=True)
    axis.set_yticks([y - 0.5 for y in range(1, len(labels))], minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="minor", length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel(
        f"bold: 95 % right, after so many updates; else: right after {result.settings.budget:,}\n"
        f"in brackets: chance; {result.settings.parameters:,} parameters each",
        fontsize=8,
    )
    return figure


def save_probe_figure(result: ProbeResult, path: Path) -> None:
    """Draw a result into a PNG, SVG or PDF file, by the ending of its name."""
    draw_probe(result).savefig(path, dpi=_DPI)
