"""Which model comes first in what."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping

from benchmarks.results import cost
from benchmarks.results.labels import named
from benchmarks.results.markdown import NOTHING, seeds, steps, table
from benchmarks.results.sources import Sources
from benchmarks.results.tasks import runs_by_task

# Each model of the catalog once, the GTrXL with the memory that the paper compares with.
NOT_RANKED = ("GTrXL, M = 64", "GTrXL, M = 256", cost.USUAL)
OURS = "AGaLiTe"
# What is compared; how many models; each model's value, of which less is better; how a value is written.
Respect = tuple[str, int, Mapping[str, float], Callable[[float], str]]


def ranking_table(sources: Sources) -> str:
    """The first and the second in each respect, and AGaLiTe's place."""
    rows = [["", "first", "second", "AGaLiTe"]]
    for what, n_models, values, written in (*_costs(sources), *_tasks(sources)):
        order = sorted(values, key=values.__getitem__)
        places = [f"{model}, {written(values[model])}" for model in order[:2]]
        place = (
            f"{order.index(OURS) + 1} of {n_models}, {written(values[OURS])}"
            if OURS in order
            else f"unsolved, of {n_models}"
        )
        rows.append([what, *places, *[NOTHING] * (2 - len(places)), place])
    return table(rows)


def _costs(sources: Sources) -> Iterator[Respect]:
    measured = sources.read(cost.COST)
    if measured is None:
        return
    models = {name: m for name, m in measured["models"].items() if name not in NOT_RANKED}
    for batch in ("B=1", "B=32"):
        times = {name: m["acting_ms"][batch] for name, m in models.items()}
        yield f"cheapest step, {batch.replace('=', ' = ')}", len(times), times, "{:.2f} ms".format
    training = {name: m["training_ms_per_1024_tokens"]["B=8, T=128"] for name, m in models.items()}
    yield "cheapest training, 1,024 tokens", len(training), training, "{:.0f} ms".format
    states = {name: m["state_bytes"] / 1024 for name, m in models.items()}
    yield "smallest state", len(states), states, "{:,.0f} KiB".format


def _tasks(sources: Sources) -> Iterator[Respect]:
    """Go through the median steps of the models of which all seeds solved a task, for all tasks that any did."""
    for task, by_model in runs_by_task(sources.memory("grid"), sources.learning()).items():
        medians = {
            named(model): statistics.median(run["env_steps"] for run in runs)
            for model, runs in by_model.items()
            if runs and all(run["solved"] for run in runs)
        }
        if medians:
            n_runs = [len(runs) for runs in by_model.values() if runs]
            yield f"fewest steps, {task} ({seeds(n_runs)})", len(n_runs), medians, steps
