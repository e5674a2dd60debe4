"""A comparison as a picture: learning curves, and which share of the seeds had solved the task by when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rllib_recattn.comparing.result import Measure, Point
from rllib_recattn.comparing.summary import Comparison, ModelSummary
from rllib_recattn.experiment.figures.figure_style import COLOURS, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLOURED = 5
"""How many models have a colour; those behind them are grey."""

_GREY = "#9aa3ad"
_POINTS = 200


def draw_comparison(comparison: Comparison) -> Figure:
    """Draw a comparison: each seed as a thin line, and the mean of a model's seeds, with its name at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    n_panels = 2 if comparison.has_goal else 1
    figure = Figure(figsize=(5.4 * n_panels + 1.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, n_panels, squeeze=False)[0]
    end = max(run.steps for model in comparison.ranked for run in model.runs) / 1000
    _draw_curves(axes[0], comparison, end)
    if comparison.has_goal:
        _draw_survival(axes[1], comparison, end)
    for axis in axes:
        axis.set_xlim(0, end)
        axis.set_xlabel("environment steps (thousands)")
        axis.xaxis.set_major_formatter("{x:,.0f}")
    figure.suptitle(_title(comparison), fontsize=11)
    return figure


def save_figure(comparison: Comparison, path: Path) -> None:
    """Draw a comparison into a file, by the ending of its name."""
    draw_comparison(comparison).savefig(path, dpi=150)


def _draw_curves(axis: Axes, comparison: Comparison, end: float) -> None:
    ends = []
    for index, model in reversed(list(enumerate(comparison.ranked))):
        look = _look(index)
        curves = [curve for run in model.runs if (curve := _curve(run.curve, comparison.measure))]
        for steps, values in curves:
            axis.plot(steps, values, color=look["color"], linewidth=0.8, alpha=0.5, zorder=look["zorder"])
        if not curves:
            continue
        begin = max(steps[0] for steps, _ in curves)
        grid = np.linspace(begin, max(steps[-1] for steps, _ in curves), _POINTS)
        # A run that has ended counts on with what it ended with.
        mean = np.mean([np.interp(grid, steps, values) for steps, values in curves], axis=0)
        axis.plot(grid, mean, linewidth=2.2, **look)
        ends.append((float(mean[-1]), float(grid[-1]), model.contender.label, look["color"]))
    tidy(axis, "success_rate" if comparison.measure == "success rate" else "return")
    axis.set_ylabel(f"{comparison.measure} in training")
    goals = [value for metric, value in comparison.plan.goals.items() if metric.endswith(_metric(comparison))]
    for value in goals:
        axis.axhline(value, color=_GREY, linewidth=0.8, linestyle=":")
    _name(axis, ends, end)


def _draw_survival(axis: Axes, comparison: Comparison, end: float) -> None:
    ends = []
    for index, model in reversed(list(enumerate(comparison.ranked))):
        look = _look(index)
        share = model.survival
        steps = [0.0, *(at / 1000 for at in share.steps), end]
        shares = [0.0, *share.shares, share.shares[-1] if share.shares else 0.0]
        # Lines that lie on one another are drawn a little apart.
        offset = 0.006 * (index - (len(comparison.ranked) - 1) / 2)
        axis.step(steps, np.array(shares) + offset, where="post", linewidth=2.2, **look)
        censored = [at for at in share.censored if at / 1000 < end]
        axis.plot(
            [at / 1000 for at in censored],
            [share.at(at) + offset for at in censored],
            "|",
            markersize=9,
            markeredgewidth=1.6,
            clip_on=False,
            **look,
        )
        ends.append((shares[-1] + offset, end, f"{model.contender.label} ({_solved(model)})", look["color"]))
    tidy(axis, "success_rate")
    axis.set_ylabel("share of seeds that solved it")
    _name(axis, ends, end)


def _name(axis: Axes, ends: Sequence[tuple[float, float, str, str]], end: float) -> None:
    """Write each line's name at its end, such that no two lie on one another."""
    low, high = axis.get_ylim()
    least = 0.055 * (high - low)
    placed: list[float] = []
    for value, at, text, colour in sorted(ends):
        height = max(value, placed[-1] + least) if placed else value
        placed.append(height)
        axis.annotate(
            text,
            (at, value),
            xytext=(end * 1.015, height),
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6} if at < end else None,
        )


def _curve(points: Sequence[Point], measure: Measure) -> tuple[list[float], list[float]] | None:
    shown = [(point.steps / 1000, value) for point in points if (value := point.value(measure)) is not None]
    return ([steps for steps, _ in shown], [value for _, value in shown]) if shown else None


def _look(index: int) -> dict[str, Any]:
    coloured = index < MOST_COLOURED
    return {"color": COLOURS[index] if coloured else _GREY, "zorder": 3 + MOST_COLOURED - index if coloured else 2}


def _metric(comparison: Comparison) -> str:
    return "success_rate" if comparison.measure == "success rate" else "episode_return_mean"


def _solved(model: ModelSummary) -> str:
    return f"{model.n_solved} of {len(model.runs)}"


def _title(comparison: Comparison) -> str:
    counts = sorted({len(model.runs) for model in comparison.models.values()})
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else f"{counts[0]} seed{'s' * (counts[0] > 1)}"
    sizes = sorted(model.contender.parameters for model in comparison.models.values())
    return f"{comparison.plan.experiment.name}: {seeds} each, about {sizes[len(sizes) // 2]:,} parameters"
