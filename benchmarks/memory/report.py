"""Tables and figures of the runs that ``python -m benchmarks.memory.grid`` has left.

    python -m benchmarks.memory.report

Writes report.md, learning.png and success.png beside this file. What has not been run is missing there, and what has
been run with one seed has no interval.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.memory.grid import RESULTS, best_learning_rate
from benchmarks.memory.plan import (
    ABLATION_LENGTH,
    ABLATIONS,
    CORRIDORS,
    LEARNING_RATES,
    SEARCH_BUDGET,
    SEARCH_LENGTH,
)
from benchmarks.memory.statistics import interquartile_mean

HERE = Path(__file__).parent
LABELS = {
    "agalite": "AGaLiTe",
    "gtrxl-128": "GTrXL, M = 128",
    "gtrxl-32": "GTrXL, M = 32",
    "lstm": "LSTM",
    "lstm-chrono": "LSTM, max_timescale 64",
    "gru": "GRU",
    "gru-chrono": "GRU, max_timescale 64",
    "gla": "GLA",
    "hgrn2": "HGRN2",
    "galite": "GaLiTe",
}

JsonRun = Mapping[str, Any]
# Model → corridor length → its runs.
Cells = dict[str, dict[int, list[JsonRun]]]


def main() -> None:
    grid, ablations = cells("grid"), cells("ablation")
    # AGaLiTe as it is stands beside its ablations.
    ablations["agalite"] = {ABLATION_LENGTH: grid.get("agalite", {}).get(ABLATION_LENGTH, [])}
    text = "\n\n".join(
        [
            "<!-- written by python -m benchmarks.memory.report -->\n## Success at equal steps",
            success_table(grid),
            "## Steps and time until solved",
            cost_table(grid),
            "## The search for the learning rate",
            search_table(RESULTS),
            f"## AGaLiTe with one thing changed, {ABLATION_LENGTH} cells",
            ablation_table(ablations),
        ]
    )
    (HERE / "report.md").write_text(text + "\n", encoding="utf-8")
    if not grid:
        return
    draw_learning(grid, HERE / "learning.png")
    draw_success(grid, HERE / "success.png")


def cells(stage: str, results: Path = RESULTS) -> Cells:
    """Read the runs of a stage."""
    found: Cells = defaultdict(lambda: defaultdict(list))
    for path in sorted((results / stage).glob("*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        found[run["model"]][run["length"]].append(run)
    return found


def success_at(run: JsonRun, env_steps: float) -> float:
    """Return the success rate that a run last reported at or before `env_steps`.

    0 before it has ended enough episodes to report one. A solved run ends early, and keeps what it ended with.
    """
    reported = [point["success_rate"] for point in run["curve"] if point["env_steps"] <= env_steps]
    return next((rate for rate in reversed(reported) if rate is not None), 0.0)


def success_of(runs: Iterable[JsonRun], length: int) -> list[float]:
    """Return the success rates of runs at the end of the budget of their corridor.

    The last batch may go over it.
    """
    corridor = CORRIDORS[length]
    return [success_at(run, corridor.budget + corridor.batch_size) for run in runs]


def success_table(grid: Cells) -> str:
    """Success rate of each model at the end of each corridor's budget, and over all corridors that all models ran."""
    lengths = [length for length in CORRIDORS if any(by_length.get(length) for by_length in grid.values())]
    rows = [["model", *(f"{length} cells, {CORRIDORS[length].budget:,} steps" for length in lengths), "all of these"]]
    for model in (model for model in LABELS if model in grid):
        scores = {length: success_of(runs, length) for length, runs in grid[model].items()}
        # As many seeds of each corridor: pooled, the corridor with most would weigh most.
        n_seeds = min(map(len, scores.values()))
        pooled = {length: of_length[:n_seeds] for length, of_length in scores.items()}
        cells_of_row = [_estimate({length: scores[length]}) if length in scores else "" for length in lengths]
        rows.append([LABELS[model], *cells_of_row, _estimate(pooled) if set(scores) == set(lengths) else ""])
    return _table(rows)


def cost_table(grid: Cells) -> str:
    """Median steps and CPU seconds until a success rate of 0.95, over the runs of a cell that got there."""
    rows = [["corridor", "model", "solved", "env steps (median)", "CPU seconds (median)", "env steps / CPU second"]]
    for length in CORRIDORS:
        for model in LABELS:
            runs = grid.get(model, {}).get(length, [])
            if runs:
                rows.append([f"{length} cells", LABELS[model], *_cost(runs)])
    return _table(rows)


def search_table(results: Path) -> str:
    """What each learning rate came to with each model, and which one was taken."""
    found = cells("search", results)
    rows = [["model", *(f"lr {lr:g}" for lr in LEARNING_RATES), "taken"]]
    for model in (model for model in LABELS if model in found):
        by_rate = {run["lr"]: run for run in found[model][SEARCH_LENGTH]}
        complete = set(by_rate) == set(LEARNING_RATES)
        outcomes = [_outcome(by_rate[lr]) if lr in by_rate else "" for lr in LEARNING_RATES]
        rows.append([LABELS[model], *outcomes, f"{best_learning_rate(model, results):g}" if complete else ""])
    intro = (
        f"{SEARCH_LENGTH} cells, one seed that is not used again, {SEARCH_BUDGET:,} steps: where it was solved, else "
        "the best success rate."
    )
    return f"{intro}\n\n{_table(rows)}"


def ablation_table(ablations: Cells) -> str:
    """Success and cost of AGaLiTe with one setting changed."""
    rows = [
        ["changed", "success rate", "solved", "env steps (median)", "CPU seconds (median)", "env steps / CPU second"]
    ]
    for change in ("agalite", *ABLATIONS):
        runs = ablations.get(change, {}).get(ABLATION_LENGTH, [])
        if runs:
            label = "nothing" if change == "agalite" else change.replace("-", " ")
            success = _estimate({ABLATION_LENGTH: success_of(runs, ABLATION_LENGTH)})
            rows.append([label, success, *_cost(runs)])
    return _table(rows)


def draw_learning(grid: Cells, out: Path) -> None:
    """Draw the mean success over steps for each corridor, with the range of the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot

    from rllib_recattn.experiment.figures.figure_style import line_look, tidy
    from rllib_recattn.experiment.records.metrics import metric_label

    lengths = [length for length in CORRIDORS if any(by_length.get(length) for by_length in grid.values())]
    if not lengths:
        return
    figure, axes = pyplot.subplots(
        1, len(lengths), figsize=(3.6 * len(lengths) + 2, 3.4), sharey=True, layout="constrained", squeeze=False
    )
    for axis, length in zip(axes[0], lengths, strict=True):
        steps = np.linspace(0, CORRIDORS[length].budget, 200)
        for index, (model, label) in enumerate(LABELS.items()):
            runs = grid.get(model, {}).get(length, [])
            if runs:
                success = np.array([[success_at(run, step) for step in steps] for run in runs])
                axis.plot(steps / 1000, success.mean(axis=0), label=label, linewidth=1.4, **line_look(index))
                axis.fill_between(
                    steps / 1000,
                    success.min(axis=0),
                    success.max(axis=0),
                    color=line_look(index)["color"],
                    alpha=0.12,
                    linewidth=0,
                )
        axis.axhline(0.5, color="#64748b", linewidth=1, linestyle=":")
        axis.set_title(f"{length} cells", fontsize=10)
        axis.set_xlabel("environment steps (thousands)")
        tidy(axis, "success_rate")
    axes[0, 0].set_ylabel(metric_label("success_rate"))
    handles = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(out, dpi=130)
    pyplot.close(figure)


def draw_success(grid: Cells, out: Path) -> None:
    """Draw the success at the end of the budget over the length of the corridor, with bootstrap intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    from rllib_recattn.experiment.figures.figure_style import line_look, tidy
    from rllib_recattn.experiment.records.metrics import metric_label

    figure, axis = pyplot.subplots(figsize=(7.5, 3.8), layout="constrained")
    for index, (model, label) in enumerate(LABELS.items()):
        by_length = sorted(grid.get(model, {}).items())
        estimates = [interquartile_mean({length: success_of(runs, length)}) for length, runs in by_length]
        if estimates:
            errors = [[e.value - e.low for e in estimates], [e.high - e.value for e in estimates]]
            # Side by side, or intervals of the same length would hide one another.
            places = [length * 1.015 ** (index - len(LABELS) / 2) for length, _ in by_length]
            values = [estimate.value for estimate in estimates]
            axis.errorbar(places, values, errors, label=label, marker="o", markersize=3, **line_look(index))
    axis.axhline(0.5, color="#64748b", linewidth=1, linestyle=":")
    axis.set_xscale("log")
    axis.set_xticks(list(CORRIDORS), [str(length) for length in CORRIDORS])
    axis.minorticks_off()
    axis.set_xlabel("cells of the corridor")
    axis.set_ylabel(metric_label("success_rate"))
    tidy(axis, "success_rate")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    figure.savefig(out, dpi=130)
    pyplot.close(figure)


def _cost(runs: Sequence[JsonRun]) -> list[str]:
    solved = [run for run in runs if run["solved"]]
    medians = ["", ""]
    if solved:
        medians = [f"{statistics.median(run[key] for run in solved):,.0f}" for key in ("env_steps", "cpu_seconds")]
    speed = statistics.median(run["env_steps"] / run["cpu_seconds"] for run in runs)
    return [f"{len(solved)} of {len(runs)}", *medians, f"{speed:,.0f}"]


def _outcome(run: JsonRun) -> str:
    if run["solved"]:
        return f"{run['env_steps']:,} steps"
    return f"{max(point['success_rate'] or 0.0 for point in run['curve']):.2f}"


def _estimate(scores: Mapping[object, Sequence[float]]) -> str:
    """Write an estimate with its interval; one seed has none."""
    estimate = interquartile_mean(scores)
    return (
        f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        if min(map(len, scores.values())) > 1
        else f"{estimate.value:.2f}"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


if __name__ == "__main__":
    main()
