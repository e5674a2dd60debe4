"""How the outcome of training is counted: each statistic once, with the sentence that defines it in docs/results.md.

A run is a JSON object that a benchmark left: ``solved``, ``env_steps``, and a ``curve`` with a point an iteration.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.memory.plan import CORRIDORS, MODELS

Json = Mapping[str, Any]
# Model → corridor length → its runs.
Cells = Mapping[str, Mapping[int, Sequence[Json]]]

LAST = 20

DEFINITIONS = {
    "solved": (
        "**Solved**: an iteration reached the goal of the experiment, a success rate of 0.95 unless a tuned "
        "example says otherwise; the run ends there. “2 of 3” counts the seeds that solved, of all that were "
        "run. “–” was not run, nor was what a line does not name."
    ),
    "steps until solved": (
        "**Steps until solved**, and seconds: the median of the runs that solved. How many these are stands beside it."
    ),
    "env steps (median)": (
        "**Env steps (median)**, and time: the median of all runs, of which one that did not solve counts "
        "with the steps after which it ended; “>” where half of them or fewer solved."
    ),
    "last 20": (
        "**Last 20**: the mean over the last 20 iterations of a run, the median over the seeds that did not "
        "solve. Those that solved ended with the goal, on a climb of which a mean would say how steep it was; "
        "the first lines of their examples give what the last iteration reported."
    ),
    "success": (
        "**Success at a step**: the success rate that a run last reported by then, which is of its last 100 "
        "episodes, and 0 before it has ended so many. A solved run keeps the rate with which it ended."
    ),
    "interval": (
        "**Success of several seeds**: their interquartile mean, which of three leaves none out, with a 95 % "
        "interval from a stratified bootstrap ([arXiv 2108.13264](https://arxiv.org/abs/2108.13264)). That of "
        "two or three seeds reaches from the worst to the best, and one seed has none."
    ),
}
"""Name → how the page defines it, above its first table."""


def solved_of(runs: Sequence[Json]) -> str:
    """Count those that solved the task: ``2 of 3``."""
    return f"{n_solved(runs)} of {len(runs)}"


def n_solved(runs: Sequence[Json]) -> int:
    """Count those that solved the task."""
    return sum(bool(run["solved"]) for run in runs)


def all_solved(runs: Sequence[Json]) -> bool:
    """Whether there are any, and all of them solved the task."""
    return bool(runs) and n_solved(runs) == len(runs)


def steps_until_solved(runs: Sequence[Json]) -> float | None:
    """Return the median environment steps of those that solved the task; None if none did."""
    solved = [run["env_steps"] for run in runs if run["solved"]]
    return statistics.median(solved) if solved else None


def median_of_all(runs: Sequence[Json], key: str = "env_steps") -> tuple[float, bool]:
    """Return a median over all runs, and whether it is a lower bound: half of them or fewer solved the task."""
    return statistics.median(run[key] for run in runs), is_bound(runs)


def is_bound(runs: Sequence[Json]) -> bool:
    """Whether what all runs needed is known as a lower bound only: half of them or fewer solved the task."""
    return 2 * n_solved(runs) <= len(runs)


def last_20(runs: Iterable[Json], key: str) -> float | None:
    """Return the mean of what the last iterations report, the median over the runs that did not solve the task.

    Args:
        runs: Of one model on one task.
        key: ``return`` or ``success_rate``.

    Returns:
        It; None if all solved the task, or none reports this.
    """
    means = []
    for run in runs:
        reported = [point[key] for point in run["curve"][-LAST:] if point[key] is not None]
        if reported and not run["solved"]:
            means.append(statistics.fmean(reported))
    return statistics.median(means) if means else None


def success_at(run: Json, env_steps: float) -> float:
    """Return the success rate that a run last reported at or before `env_steps`; 0 before its first."""
    reported = [point["success_rate"] for point in run["curve"] if point["env_steps"] <= env_steps]
    return next((rate for rate in reversed(reported) if rate is not None), 0.0)


def success_of(runs: Iterable[Json], length: int) -> list[float]:
    """Return the success rates of runs at the end of the budget of their corridor; the last batch may go over it."""
    corridor = CORRIDORS[length]
    return [success_at(run, corridor.budget + corridor.batch_size) for run in runs]


def first_episodes(run: Json) -> float | None:
    """Return the steps after which a hundred episodes had ended, of which the first success rate is; None if never."""
    return next((point["env_steps"] for point in run["curve"] if point["success_rate"] is not None), None)


def phases_of(runs: Iterable[Json]) -> list[tuple[float, float]]:
    """Return the steps of solved runs until a hundred episodes had ended, and those from then on."""
    solved = [(first_episodes(run), run["env_steps"]) for run in runs if run["solved"]]
    return [(first, last - first) for first, last in solved if first is not None]


def lengths_of(grid: Cells) -> list[int]:
    """Return the corridors that any model has run."""
    return [length for length in CORRIDORS if any(by_length.get(length) for by_length in grid.values())]


def reach(grid: Cells) -> dict[int, dict[str, list[str]]]:
    """Return what was run on each corridor, the longest first, and what came of it.

    Returns:
        Length → ``2 of 3`` → the models of which so many seeds solved it, those with the largest share first.
    """
    found: dict[int, dict[str, list[str]]] = {}
    for length in reversed(lengths_of(grid)):
        ran = {model: runs for model in MODELS if (runs := grid.get(model, {}).get(length))}
        by_share = sorted(ran.items(), key=lambda cell: (-n_solved(cell[1]) / len(cell[1]), -len(cell[1])))
        for model, runs in by_share:
            found.setdefault(length, {}).setdefault(solved_of(runs), []).append(model)
    return found


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the solved ones of a model's runs, and take medians of all."""
    medians = {f"median_{key}": median_of_all(runs, key)[0] for key in ("env_steps", "seconds", "cpu_seconds")}
    return {"solved": solved_of(runs), **medians}
