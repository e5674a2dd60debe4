"""Who remembers for how long: T-Mazes of 20 to 160 cells, from the runs of benchmarks.memory.grid."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks.measures import (
    LAST,
    first_episodes,
    last_20,
    lengths_of,
    phases_of,
    solved_of,
    steps_until_solved,
    success_of,
)
from benchmarks.memory.grid import best_learning_rate
from benchmarks.memory.plan import (
    ABLATION_LENGTH,
    ABLATIONS,
    CORRIDORS,
    LEARNING_RATES,
    RATE_LENGTH,
    RATE_MODELS,
    SEARCH_BUDGET,
    SEARCH_LENGTH,
)
from benchmarks.memory.statistics import Estimate, interquartile_mean
from benchmarks.results.labels import LABELS
from benchmarks.results.markdown import NOTHING, made_by, not_measured, steps, table
from benchmarks.results.processors import Processors
from benchmarks.results.sources import Cells, Json, Sources

COMMAND = "python -m benchmarks.memory.grid"
RUNS = "memory/runs/"


def success_table(grid: Cells) -> str:
    """Success rate of each model at the end of each corridor's budget, and over all corridors that any model ran."""
    lengths = lengths_of(grid)
    rows = [["model", *(f"{length} cells, {steps(CORRIDORS[length].budget)} steps" for length in lengths), "together"]]
    for model in (model for model in LABELS if model in grid):
        scores = {length: success_of(runs, length) for length, runs in grid[model].items()}
        # As many seeds of each corridor: pooled, the corridor with most would weigh most.
        n_seeds = min(map(len, scores.values()))
        pooled = {length: of_length[:n_seeds] for length, of_length in scores.items()}
        estimates = [_estimate(scores.get(length, [])) for length in lengths]
        together = _written(interquartile_mean(pooled), n_seeds) if set(scores) == set(lengths) else NOTHING
        rows.append([LABELS[model], *estimates, together])
    return table(rows)


def solved_table(grid: Cells) -> str:
    """How many seeds solved each corridor, and the medians of their steps and CPU seconds."""
    processors = _processors(grid)
    return _by_corridor(grid, lambda runs: _solved(runs, processors))


def phases_table(grid: Cells) -> str:
    """Of the steps until a corridor was solved, those until the junction was reached, and those from then on."""
    return _by_corridor(grid, _phases)


def search_table(sources: Sources) -> str:
    """What each learning rate came to with each model, and which one was taken."""
    found = sources.memory("search")
    rows = [["model", *(f"lr {lr:g}" for lr in LEARNING_RATES), "taken"]]
    for model in (model for model in LABELS if model in found):
        by_rate = {run["lr"]: run for run in found[model][SEARCH_LENGTH]}
        complete = set(by_rate) == set(LEARNING_RATES)
        outcomes = [_outcome(by_rate[lr]) if lr in by_rate else NOTHING for lr in LEARNING_RATES]
        taken = f"{best_learning_rate(model, sources.searched_in):g}" if complete else NOTHING
        rows.append([LABELS[model], *outcomes, taken])
    return (
        f"One seed that is not used again, {SEARCH_LENGTH} cells, at most {steps(SEARCH_BUDGET)} steps: where it was "
        f"solved, else the success rate, last {LAST}.\n\n{table(rows)}\n\n"
        f"{made_by(f'{RUNS}search', f'{COMMAND} --stage search')}"
    )


def rate_table(sources: Sources) -> str:
    """How many seeds solved a long corridor with each learning rate, and the median of their steps."""
    others = sources.memory("rate")
    if not others:
        return not_measured(f"{RUNS}rate/", f"{COMMAND} --stage rate")
    grid = sources.memory("grid")
    rows = [["model", *(f"lr {lr:g}" for lr in LEARNING_RATES)]]
    for model in RATE_MODELS:
        runs = [*others[model][RATE_LENGTH], *grid[model][RATE_LENGTH]]
        by_rate = [[run for run in runs if run["lr"] == lr] for lr in LEARNING_RATES]
        rows.append([LABELS[model], *(_steps_until_solved(of_rate) for of_rate in by_rate)])
    return (
        f"What the search on {SEARCH_LENGTH} cells did not choose, on {RATE_LENGTH}: seeds that solved it, and their "
        f"median steps.\n\n{table(rows)}\n\n{made_by(f'{RUNS}rate', f'{COMMAND} --stage rate')}"
    )


def ablation_table(sources: Sources) -> str:
    """Success and cost of AGaLiTe with one setting changed."""
    ablations = sources.memory("ablation")
    if not ablations:
        return not_measured(f"{RUNS}ablation/", f"{COMMAND} --stage ablation")
    # AGaLiTe as it is stands beside its ablations.
    ablations["agalite"] = {ABLATION_LENGTH: sources.memory("grid").get("agalite", {}).get(ABLATION_LENGTH, [])}
    processors = _processors(ablations)
    rows = [["changed", "success rate", "solved, steps, CPU seconds"]]
    for change in ("agalite", *ABLATIONS):
        runs = ablations.get(change, {}).get(ABLATION_LENGTH, [])
        if runs:
            label = "nothing" if change == "agalite" else change.replace("-", " ")
            rows.append([label, _estimate(success_of(runs, ABLATION_LENGTH)), _solved(runs, processors)])
    made = made_by(f"{RUNS}ablation", f"{COMMAND} --stage ablation")
    return "\n\n".join(filter(None, [table(rows), processors.legend(), made]))


def grid_tables(sources: Sources) -> str:
    """Success, and cost until solved."""
    grid = sources.memory("grid")
    if not grid:
        return not_measured(f"{RUNS}grid/", f"{COMMAND} --stage grid")
    return "\n\n".join(
        [
            "Success rate at the end of the budget: interquartile mean, its 95 % interval, and the number of seeds.",
            success_table(grid),
            "Seeds that solved it; of those the median steps and CPU seconds. Other programs ran beside these runs, "
            "so that their wall clocks tell little; those of runs that had the machine for themselves are above."
            + (f" {legend}" if (legend := _processors(grid).legend()) else ""),
            solved_table(grid),
            "What of these steps is memory. A random agent takes thousands of steps to the junction, and one that has "
            "not learned to walk there has nothing to recall. Steps until a hundred episodes had ended + from there "
            "until it was solved, each the median of the runs that solved it; of each run that did not solve it, the "
            "steps until a hundred episodes had ended.",
            phases_table(grid),
            made_by(f"{RUNS}grid", f"{COMMAND} --stage grid"),
        ]
    )


def _by_corridor(grid: Cells, write: Callable[[Sequence[Json]], str]) -> str:
    """Write what became of the runs of each model on each corridor."""
    lengths = lengths_of(grid)
    rows = [["model", *(f"{length} cells" for length in lengths)]]
    for model in (model for model in LABELS if model in grid):
        rows.append([LABELS[model], *(write(grid[model].get(length, [])) for length in lengths)])
    return table(rows)


def _processors(cells: Cells) -> Processors:
    return Processors(run for by_length in cells.values() for runs in by_length.values() for run in runs)


def _solved(runs: Sequence[Json], processors: Processors) -> str:
    solved = [run for run in runs if run["solved"]]
    outcome = _steps_until_solved(runs)
    return f"{outcome}, {processors.seconds(solved)}" if solved else outcome


def _steps_until_solved(runs: Sequence[Json]) -> str:
    if not runs:
        return NOTHING
    median = steps_until_solved(runs)
    return solved_of(runs) if median is None else f"{solved_of(runs)}, {steps(median)}"


def _phases(runs: Sequence[Json]) -> str:
    phases = phases_of(runs)
    found = [" + ".join(steps(statistics.median(phase)) for phase in zip(*phases, strict=True))] if phases else []
    late = [first_episodes(run) for run in runs if not run["solved"]]
    if late:
        found.append("unsolved: " + ", ".join("never" if first is None else steps(first) for first in late))
    return "; ".join(found) or NOTHING


def _outcome(run: Json) -> str:
    if run["solved"]:
        return steps(run["env_steps"])
    return f"{last_20([run], 'success_rate') or 0.0:.2f}"


def _estimate(scores: Sequence[float]) -> str:
    return _written(interquartile_mean({0: scores}), len(scores)) if scores else NOTHING


def _written(estimate: Estimate, n_seeds: int) -> str:
    """Write an estimate with its interval, which one seed does not have."""
    interval = f" [{estimate.low:.2f}, {estimate.high:.2f}]" if n_seeds > 1 else ""
    return f"{estimate.value:.2f}{interval} ({n_seeds})"
