"""Which model comes first in what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmarks.measures import all_solved, solved_of, steps_until_solved
from benchmarks.results import cost
from benchmarks.results.labels import named
from benchmarks.results.markdown import NOTHING, steps, table
from benchmarks.results.sources import Json, Sources
from benchmarks.results.tasks import runs_by_task

# Each model of the catalog once, the GTrXL with the memory that the paper compares with.
NOT_RANKED = ("GTrXL, M = 64", "GTrXL, M = 256", cost.USUAL)
OURS = "AGaLiTe"
# What is compared; each model's value, of which less is better, with how it is written; what AGaLiTe came to if it has
# none; how many models there are.
Respect = tuple[str, Mapping[str, tuple[float, str]], str, int]


def ranking_table(sources: Sources) -> str:
    """The first and the second in each respect, and AGaLiTe's place."""
    rows = [["", "first", "second", "AGaLiTe"]]
    for what, values, otherwise, n_models in (*_costs(sources), *_tasks(sources)):
        order = sorted(values, key=values.__getitem__)
        places = [f"{model}, {values[model][1]}" for model in order[:2]]
        place = f"{order.index(OURS) + 1} of {n_models}, {values[OURS][1]}" if OURS in order else otherwise
        rows.append([what, *places, *[NOTHING] * (2 - len(places)), place])
    return table(rows)


def _costs(sources: Sources) -> Iterator[Respect]:
    measured = sources.read(cost.COST)
    if measured is None:
        return
    models = {name: m for name, m in measured["models"].items() if name not in NOT_RANKED}

    def respect(what: str, value: Callable[[Json], float], form: str) -> Respect:
        values = {name: (value(m), form.format(value(m))) for name, m in models.items()}
        return what, values, NOTHING, len(values)

    for batch in ("B=1", "B=32"):
        yield respect(f"cheapest step, {batch.replace('=', ' = ')}", lambda m, b=batch: m["acting_ms"][b], "{:.2f} ms")
    yield respect(
        "cheapest training, 1,024 tokens", lambda m: m["training_ms_per_1024_tokens"]["B=8, T=128"], "{:.0f} ms"
    )
    yield respect("smallest state", lambda m: m["state_bytes"] / 1024, "{:,.0f} KiB")


def _tasks(sources: Sources) -> Iterator[Respect]:
    """Go through the steps until solved of the models of which all seeds solved a task, for all tasks that any did."""
    for task, by_model in runs_by_task(sources.memory("grid"), sources.learning()).items():
        ran = {named(model): runs for model, runs in by_model.items() if runs}
        values = {
            model: (median, f"{steps(median)} ({solved_of(runs)})")
            for model, runs in ran.items()
            if all_solved(runs) and (median := steps_until_solved(runs))
        }
        if values:
            otherwise = f"solved by {solved_of(ran[OURS])}, of {len(ran)} models" if OURS in ran else NOTHING
            yield f"fewest steps, {task}", values, otherwise, len(ran)
