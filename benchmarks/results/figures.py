"""The figures of the page. What has not been measured is not drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.measures import lengths_of, success_at, success_of
from benchmarks.memory.plan import CORRIDORS
from benchmarks.memory.statistics import interquartile_mean
from benchmarks.palette import COLOURS, colour_of
from benchmarks.results import cost as costs
from benchmarks.results import whole_runs
from benchmarks.results.labels import LABELS
from benchmarks.results.probe import draw_catalog_probe
from benchmarks.results.sources import Json, Sources
from rllib_recattn.experiment.figures.figure_style import tidy
from rllib_recattn.experiment.records.metrics import metric_label

DPI = 130
# What else than its colour tells a model from its family.
DASHED = ("agalite-256", "gtrxl-32", "lstm-chrono", "gru-chrono")


def draw_all(sources: Sources, out: Path) -> list[str]:
    """Draw every figure for which there are results, and remove those for which there are none; returns their names."""
    drawings: dict[str, Callable[[Sources], Figure | None]] = {
        "cost-by-context": cost_by_context,
        "cost-by-agents": cost_by_agents,
        "loop": loop,
        "whole-runs": whole_runs_by_context,
        "success-by-corridor": success_by_corridor,
        "learning-curves": learning_curves,
        "probe": draw_catalog_probe,
    }
    out.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, draw in drawings.items():
        figure = draw(sources)
        if figure is None:
            (out / f"{name}.png").unlink(missing_ok=True)
            continue
        figure.savefig(out / f"{name}.png", dpi=DPI)
        pyplot.close(figure)
        drawn.append(name)
    return drawn


def cost_by_context(sources: Sources) -> Figure | None:
    """A step's time and a state's size over how far back a model reaches."""
    cost = sources.read(costs.COST)
    if cost is None:
        return None
    growth = cost["growth"]["models"]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    contexts = [int(context) for context in growth[costs.AGALITE]["acting_ms"]]
    for label in (label for label in (costs.AGALITE, costs.GROWING, "GLA", "LSTM") if label in growth):
        look = {"color": colour_of(label), "marker": "o", "markersize": 4, "label": label}
        axes[0].plot(contexts, list(growth[label]["acting_ms"].values()), **look)
        axes[1].plot(contexts, [size / 1024 for size in growth[label]["state_bytes"].values()], **look)
    _logarithmic(axes[0], "steps that the memory reaches back", "milliseconds", contexts)
    _logarithmic(axes[1], "steps that the memory reaches back", "KiB", contexts)
    axes[0].set_title(f"one acting step of {cost['growth']['batch']} agents", fontsize=10)
    axes[1].set_title("state of one agent", fontsize=10)
    axes[1].legend(frameon=False, fontsize=8)
    return figure


def cost_by_agents(sources: Sources) -> Figure | None:
    """A step's time over how many agents act at once."""
    cost = sources.read(costs.COST)
    if cost is None:
        return None
    figure, axis = pyplot.subplots(figsize=(6.5, 3.4), layout="constrained")
    agents = [int(batch.removeprefix("B=")) for batch in cost["models"][costs.AGALITE]["acting_ms"]]
    for label in (costs.AGALITE, costs.GTRXL, costs.USUAL, "LSTM"):
        if label in cost["models"]:
            acting = cost["models"][label]["acting_ms"]
            look = {
                "color": colour_of(label),
                "linestyle": ":" if label == costs.USUAL else "-",
                "marker": "o",
                "markersize": 4,
            }
            axis.plot(agents, list(acting.values()), label=label, **look)
    _logarithmic(axis, "agents that act at once", "milliseconds of a step", agents)
    axis.legend(frameon=False, fontsize=8)
    return figure


def loop(sources: Sources) -> Figure | None:
    """Where the seconds of an iteration of training go."""
    content = sources.read(costs.LOOP)
    if content is None:
        return None
    results = content["results"]
    figure, axes = pyplot.subplots(1, len(results), figsize=(10, 2.6), layout="constrained", squeeze=False, sharey=True)
    shades = {"acting": 1.0, "connectors, environment": 0.3, "learner": 0.6}
    for axis, (size, result) in zip(axes[0], results.items(), strict=True):
        for place, (label, measured) in enumerate(result["models"].items()):
            left = 0.0
            for part, seconds in costs.loop_parts(measured["seconds_by_part"]).items():
                colour = COLOURS["LSTM" if "LSTM" in label else "AGaLiTe"]
                axis.barh(place, seconds, left=left, color=colour, alpha=shades[part], height=0.7)
                left += seconds
        names = [costs.with_kernels(label) for label in result["models"]]
        axis.set_yticks(range(len(names)), names, fontsize=9)
        axis.set_title(f"{size}: seconds of an iteration", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].invert_yaxis()
    patches = [Patch(color="black", alpha=shade, label=part, linewidth=0) for part, shade in shades.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=9)
    return figure


def whole_runs_by_context(sources: Sources) -> Figure | None:
    """Steps per second and peak memory of whole runs of RLlib over GTrXL's context."""
    content = sources.read(whole_runs.WHOLE_RUNS)
    if content is None:
        return None
    panels = {
        "env_steps_per_second": "env steps / s",
        "runner_peak_mib": "runner's peak, MiB",
        "learner_peak_mib": "learner's peak, MiB",
    }
    results = content["results"]
    figure, rows = pyplot.subplots(
        len(results), len(panels), figsize=(11, 2.9 * len(results)), layout="constrained", squeeze=False
    )
    for axes, (size, result) in zip(rows, results.items(), strict=True):
        models = result["models"]
        gtrxl = [int(label.rpartition(" ")[2]) for label in models if label.startswith("GTrXL")]
        for axis, (key, title) in zip(axes, panels.items(), strict=True):
            values = [measured[key] for label, measured in models.items() if label.startswith("GTrXL")]
            axis.plot(gtrxl, values, "o-", markersize=4, color=COLOURS["GTrXL"], label="GTrXL, M = context")
            for label, measured in models.items():
                if not label.startswith("GTrXL"):
                    family = "LSTM" if "lstm" in label.lower() else "AGaLiTe"
                    style = ":" if label.startswith("RLlib") else "--" if "kernels" in label else "-"
                    axis.axhline(measured[key], color=COLOURS[family], linestyle=style, label=whole_runs.named(label))
            _logarithmic(axis, "M of GTrXL", title, gtrxl)
            axis.set_yscale("linear")
            axis.set_ylim(bottom=0)
            axis.set_title(size, fontsize=10)
    rows[0][-1].legend(frameon=False, fontsize=7)
    return figure


def success_by_corridor(sources: Sources) -> Figure | None:
    """Success at the end of the budget over the length of the corridor, with bootstrap intervals."""
    grid = sources.memory("grid")
    lengths = lengths_of(grid)
    if not lengths:
        return None
    figure, axis = pyplot.subplots(figsize=(7.5, 3.8), layout="constrained")
    for index, (model, label) in enumerate(LABELS.items()):
        by_length = {length: runs for length, runs in sorted(grid.get(model, {}).items()) if runs}
        estimates = [interquartile_mean({length: success_of(runs, length)}) for length, runs in by_length.items()]
        if estimates:
            errors = [[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]]
            # Side by side, or intervals of the same length would hide one another.
            places = [length * 1.015 ** (index - len(LABELS) / 2) for length in by_length]
            values = [estimate.value for estimate in estimates]
            axis.errorbar(places, values, errors, label=label, marker="o", markersize=3, **_look(model))
    _chance(axis)
    axis.set_xscale("log")
    axis.set_xticks(lengths, [str(length) for length in lengths])
    axis.minorticks_off()
    axis.set_xlabel("cells of the corridor")
    axis.set_ylabel(metric_label("success_rate"))
    tidy(axis, "success_rate")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def learning_curves(sources: Sources) -> Figure | None:
    """The mean success over steps for each corridor, with the range of the seeds."""
    grid = sources.memory("grid")
    lengths = lengths_of(grid)
    if not lengths:
        return None
    n_columns = min(3, len(lengths))
    n_rows = -(-len(lengths) // n_columns)
    figure, rows = pyplot.subplots(
        n_rows, n_columns, figsize=(3.7 * n_columns, 2.9 * n_rows), sharey=True, layout="constrained", squeeze=False
    )
    for axis, length in zip(rows.flat, lengths, strict=False):
        for model, label in LABELS.items():
            runs = grid.get(model, {}).get(length, [])
            if runs:
                steps = np.linspace(max(map(_first_report, runs)), CORRIDORS[length].budget, 200)
                success = np.array([[success_at(run, step) for step in steps] for run in runs])
                axis.plot(steps / 1000, success.mean(axis=0), label=label, **_look(model))
                band = {"color": _look(model)["color"], "alpha": 0.12, "linewidth": 0}
                axis.fill_between(steps / 1000, success.min(axis=0), success.max(axis=0), **band)
        _chance(axis)
        axis.set_title(f"{length} cells", fontsize=10)
        axis.set_xlim(left=0)
        tidy(axis, "success_rate")
    for axis in rows.flat[len(lengths) :]:
        axis.set_axis_off()
    figure.supxlabel("environment steps (thousands)", fontsize=10)
    figure.supylabel(metric_label("success_rate"), fontsize=10)
    handles = {
        label: handle
        for axis in rows.flat[: len(lengths)]
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    free = rows.flat[-1] if len(lengths) < rows.size else None
    place = {"loc": "center left"} if free is not None else {"loc": "outside right center"}
    (free or figure).legend(handles.values(), handles.keys(), frameon=False, fontsize=8, **place)
    return figure


def _first_report(run: Json) -> int:
    """Return the steps after which a run first reported a success rate; 0 if it never did."""
    return next((point["env_steps"] for point in run["curve"] if point["success_rate"] is not None), 0)


def _look(model: str) -> dict[str, Any]:
    front = {"zorder": 3, "linewidth": 2} if model == "agalite" else {"linewidth": 1.2}
    return {"color": colour_of(LABELS[model]), "linestyle": "--" if model in DASHED else "-", **front}


def _chance(axis: Axes) -> None:
    axis.axhline(0.5, color="#64748b", linewidth=1, linestyle=":")


def _logarithmic(axis: Axes, x: str, y: str, places: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(places)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_formatter("{x:,g}")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
