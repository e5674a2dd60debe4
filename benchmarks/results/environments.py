"""Other environments than T-Maze."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measures import last_20, median_of_all, solved_of
from benchmarks.results.labels import TITLES, named
from benchmarks.results.markdown import NOTHING, listed, not_measured, steps, table
from benchmarks.results.processors import Processors
from benchmarks.results.sources import Json, Sources

LEARNING = "envs/learning"


def environments(sources: Sources) -> str:
    """A table over all tasks, and the figures that their benchmark has drawn."""
    tasks = sources.learning()
    if not tasks:
        return not_measured(f"{LEARNING}/", "python -m benchmarks.envs.learning")
    processors = Processors(
        run for task in tasks.values() for by_seed in task["runs"].values() for run in by_seed.values()
    )
    rows = [
        ["task", "model", "solved", "env steps (median)", "CPU time (median)", "return, last 20", "success, last 20"]
    ]
    ordered = [name for name in TITLES if name in tasks] + [name for name in tasks if name not in TITLES]
    for name in ordered:
        for index, (model, by_seed) in enumerate(tasks[name]["runs"].items()):
            title = f"[{TITLES.get(name, name)}](../benchmarks/{LEARNING}/{name}.json)" if index == 0 else ""
            rows.append([title, named(model), *_outcome(list(by_seed.values()), processors)])
    figures = [
        f"![Learning curves on {TITLES.get(name, name)}](../benchmarks/{LEARNING}/{name}.png)"
        for name in ordered
        if len(tasks[name]["runs"]) > 1 and name.startswith("mini")
    ]
    arguments: dict[str, list[str]] = {}
    for name in ordered:
        script, _, argument = tasks[name]["command"].removeprefix("python -m ").partition(" ")
        arguments.setdefault(script, []).append(f"{argument} {_runs_of(tasks[name]['runs'])}".strip())
    made = [
        f"`python -m {script}` with {listed([f'`{of_task}`' for of_task in of_tasks])}"
        for script, of_tasks in arguments.items()
    ]
    return "\n\n".join([table(rows), *filter(None, [processors.legend()]), f"<sub>{' · '.join(made)}</sub>", *figures])


def _runs_of(by_model: Mapping[str, Json]) -> str:
    """Write the options that name these models and seeds: a task need not have an example of every model."""
    seeds = sorted({int(seed) for by_seed in by_model.values() for seed in by_seed})
    return f"--models {' '.join(by_model)} --seeds {' '.join(map(str, seeds))}"


def _outcome(runs: list[Any], processors: Processors) -> list[str]:
    """How a model's runs ended."""
    env_steps, is_bound = median_of_all(runs)
    more = "> " if is_bound else ""
    ended = [_ended(runs, key) for key in ("return", "success_rate")]
    return [solved_of(runs), f"{more}{steps(env_steps)}", f"{more}{processors.seconds(runs)}", *ended]


def _ended(runs: list[Any], key: str) -> str:
    mean = last_20(runs, key)
    if mean is not None:
        return f"{mean:.2f}"
    return "goal" if runs[0][key] is not None else NOTHING
