"""AGaLiTe's success beside GTrXL's at equal steps, with windows that suffice and that do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.measures import all_solved, lengths_of, median_of_all, success_at, success_of
from benchmarks.memory.plan import CORRIDORS, MODELS
from benchmarks.memory.statistics import interquartile_mean
from benchmarks.results.labels import TITLES, named
from benchmarks.results.markdown import NOTHING, table
from benchmarks.results.sources import Cells, Json, Sources
from benchmarks.results.verdicts import Comparison, Verdict, some_task

OURS = "agalite"
BETTER = 1.37  # what AGaLiTe's paper claims of its success, as a multiple of GTrXL's
# Other tasks: whether the steps that a GTrXL sees reach back from where the cue is needed to where it was seen.
WINDOWS = {
    ("minigrid-memory-s7", "gtrxl"): True,
    ("miniworld-memory-tmaze", "gtrxl"): True,
    ("miniworld-memory-tmaze-long", "gtrxl-4"): False,
    ("miniworld-memory-tmaze-long", "gtrxl-32"): True,
}
SOLVED = 0.95  # runs end there, so that what a solved one has above it says no more than when it stopped
ONE_BATCH = 1.01  # runs on one budget end within a batch of one another


def comparisons(sources: Sources, window_suffices: bool) -> dict[tuple[str, str], Comparison]:
    """Compare on all tasks that were run with both: the task and the GTrXL, as they are written → both successes."""
    grid = sources.memory("grid")
    pairs = (*_corridors(grid, window_suffices), *_environments(sources.learning(), window_suffices))
    return {(task, named(theirs)): comparison for task, theirs, comparison in pairs}


def sees(model: str) -> int:
    """Return how many steps back a GTrXL of the plan sees: M for each layer."""
    block = MODELS[model]
    return int(block["n_layers"] * block["memory_length"])


def compared(
    runs: Sequence[Json], others: Sequence[Json], ours: Sequence[float], theirs: Sequence[float]
) -> Comparison:
    """Compare the runs of two models, given their successes, of which what is above `SOLVED` does not count."""
    ours, theirs = ([min(success, SOLVED) for success in each] for each in (ours, theirs))
    steps = None
    if all_solved(runs) and all_solved(others):
        steps = median_of_all(runs)[0] / median_of_all(others)[0]
    seeds = min(len(runs), len(others))
    return Comparison(interquartile_mean({0: ours}), interquartile_mean({0: theirs}), seeds, steps)


def at_equal_steps(runs: Sequence[Json], others: Sequence[Json]) -> tuple[list[float], list[float]]:
    """Return the success of runs at the step at which the first of all ended unsolved, or else at their ends."""
    last = min((run["env_steps"] for run in (*runs, *others) if not run["solved"]), default=float("inf"))
    one, other = ([success_at(run, last * ONE_BATCH) for run in cell] for cell in (runs, others))
    return one, other


def comparison_table(sources: Sources) -> str:
    """AGaLiTe's success in multiples of GTrXL's."""
    rows = [["task", "beside", "its window", "success, AGaLiTe / GTrXL", "seeds", "intervals", "steps until solved"]]
    for suffices in (False, True):
        for (task, gtrxl), c in comparisons(sources, suffices).items():
            ratio = f"{c.ours.value:.2f} / {c.theirs.value:.2f} = {c.ratio:.2f}"
            intervals = NOTHING if c.seeds == 1 else "apart" if c.apart else "overlap"
            window = "suffices" if suffices else "too short"
            steps = NOTHING if c.steps is None else f"{c.steps:.2f} × GTrXL's"
            rows.append([task, gtrxl, window, ratio, str(c.seeds), intervals, steps])
    return table(rows) if len(rows) > 1 else "Not measured yet."


def better_verdicts(sources: Sources) -> list[Verdict]:
    """Judge whether AGaLiTe succeeds 37 % more often than GTrXL on some task."""
    claim = "at least 37 % more success than with GTrXL at equal steps, on a task"
    verdicts = []
    for suffices, which in ((False, "longer than its window"), (True, "that its window spans")):
        found = {f"{task}, {gtrxl}": c for (task, gtrxl), c in comparisons(sources, suffices).items()}
        verdicts.append(some_task(f"{claim} {which}", found, BETTER))
    return verdicts


def _corridors(grid: Cells, suffices: bool) -> Iterator[tuple[str, str, Comparison]]:
    for length in lengths_of(grid):
        for theirs in ("gtrxl-32", "gtrxl-128"):
            runs, others = (grid.get(model, {}).get(length, []) for model in (OURS, theirs))
            if runs and others and (sees(theirs) >= length) == suffices:
                task = f"T-Maze, {length} cells, {CORRIDORS[length].budget:,} steps"
                yield task, theirs, compared(runs, others, success_of(runs, length), success_of(others, length))


def _environments(learning: dict[str, Json], suffices: bool) -> Iterator[tuple[str, str, Comparison]]:
    for (name, theirs), window_suffices in WINDOWS.items():
        by_model = learning[name]["runs"] if name in learning else {}
        if window_suffices == suffices and {OURS, theirs} <= set(by_model):
            runs, others = (list(by_model[model].values()) for model in (OURS, theirs))
            yield TITLES[name], theirs, compared(runs, others, *at_equal_steps(runs, others))
