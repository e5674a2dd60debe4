"""What came out, in words that follow from the figures, for the prose of the template."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.measures import all_solved, lengths_of, phases_of, reach, solved_of, steps_until_solved
from benchmarks.memory.plan import ABLATION_LENGTH, ABLATIONS
from benchmarks.results import cost, recall, tmaze
from benchmarks.results.labels import LABELS, named
from benchmarks.results.markdown import listed, steps, than
from benchmarks.results.sources import Cells, Json, Sources
from benchmarks.results.tasks import runs_by_task

CHOICES = ("agalite", "gla", "lstm", "lstm-chrono")
UNKNOWN = "not measured yet"
# The models whose memory is a sum over all steps.
LINEAR = ("agalite", "gla", "hgrn2", "galite")


def phrases(sources: Sources) -> dict[str, str]:
    """Return the phrases of the template by their names."""
    measured = sources.read(cost.COST)
    grid = sources.memory("grid")
    return {
        "age": age(measured),
        "growth": growth(measured),
        "acting": acting(measured),
        "training_memory": training_memory(measured),
        "reached": reached(grid),
        **{
            f"solved_by_{model.replace('-', '_')}": solved_by(grid, model)
            for model in ("agalite", "gla", "lstm", "lstm-chrono")
        },
        "rllib_lstm": rllib_lstm(sources.read(tmaze.BESIDE_LSTM)),
        "recall_bit": recalled(sources.read(recall.PROBE), "bit, 40 steps", ("agalite", "lstm", "lstm-chrono")),
        "recall_far": recalled(sources.read(recall.PROBE), "bit, 160 steps", LINEAR),
        "recall_repeat": recalled(sources.read(recall.PROBE), "repeat, 20 steps", ("agalite", "gtrxl-32", "lstm")),
        "minigrid": environment(sources.learning().get("minigrid-memory-s7")),
        "miniworld": environment(sources.learning().get("miniworld-memory-tmaze")),
        "miniworld_long": environment(sources.learning().get("miniworld-memory-tmaze-long")),
        "hybrid": hybrid(grid, sources.learning()),
        "linear": linear(grid),
        "ablations": ablations(grid, sources.memory("ablation")),
    }


def age(measured: Json | None) -> str:
    """How a step's time depends on how long an agent has lived."""
    if measured is None:
        return UNKNOWN
    times = list(measured["growth"]["models"][cost.AGALITE]["acting_ms"].items())
    (young, first), (old, last) = times[0], times[-1]
    return f"{last / first:.2f} × the time after {int(old):,} steps as after {int(young):,}"


def growth(measured: Json | None) -> str:
    """How GTrXL's time and state grow with M."""
    if measured is None:
        return UNKNOWN
    model = measured["growth"]["models"][cost.GROWING]
    times, sizes = model["acting_ms"], model["state_bytes"]
    least, *_, most = times
    return (
        f"{times[most] / times[least]:.0f} × the time and {sizes[most] / sizes[least]:.0f} × the state "
        f"with M = {int(most):,} as with M = {least}"
    )


def acting(measured: Json | None) -> str:
    """AGaLiTe's step beside those of both kinds of GTrXL."""
    if measured is None:
        return UNKNOWN
    parts = []
    for theirs, name in ((cost.USUAL, "beside one that recomputes its keys"), (cost.GTRXL, "beside this package's")):
        ratios = list(cost.acting_ratios(measured, cost.AGALITE, theirs).items())
        ends = (f"{than(ratio, 'cheaper', 'dearer')} at {batch}" for batch, ratio in (ratios[0], ratios[-1]))
        parts.append(f"{name}, {' and '.join(ends)}")
    return "; ".join(parts)


def training_memory(measured: Json | None) -> str:
    """The peak memory of training beside GTrXL's."""
    if measured is None:
        return UNKNOWN
    ours, theirs = (measured["models"][name]["training_peak_memory_bytes"] for name in (cost.AGALITE, cost.GTRXL))
    return f"{ours / 2**20:.0f} MiB against {theirs / 2**20:.0f} MiB, {than(ours / theirs, 'less', 'more')}"


def reached(grid: Cells) -> str:
    """How many seeds of which model solved each corridor, the longest first: of those that were run there alone."""
    lines = []
    for length, outcomes in reach(grid).items():
        found = (f"{outcome} by {listed([LABELS[model] for model in models])}" for outcome, models in outcomes.items())
        lines.append(f"  - {length} cells: {'; '.join(found)}.")
    return "\n".join(lines) or UNKNOWN


def solved_by(grid: Cells, model: str) -> str:
    """How many seeds of a model solved each corridor that it was run on, the shortest first."""
    cells = {length: runs for length in lengths_of(grid) if (runs := grid.get(model, {}).get(length))}
    return listed([f"{length} cells {solved_of(runs)}" for length, runs in cells.items()]) or UNKNOWN


def rllib_lstm(content: Json | None) -> str:
    """AGaLiTe and RLlib's LSTM, solved and steps."""
    if content is None:
        return UNKNOWN
    parts = []
    for length, task in content["tasks"].items():
        outcomes = (f"{model} {solved_of(runs)} ({tmaze.medians(runs)[0]})" for model, runs in task["runs"].items())
        parts.append(f"{length} cells: {', '.join(outcomes)}")
    return "; ".join(parts)


def recalled(probe: Json | None, task: str, variants: Sequence[str]) -> str:
    """Updates that some variants needed for a task of the probe."""
    if probe is None:
        return UNKNOWN
    found = {name: probe["variants"].get(name, {}).get(task, []) for name in variants}
    return "; ".join(f"{LABELS[name]}: {recall.updates(outcomes)}" for name, outcomes in found.items() if outcomes)


def environment(content: Json | None) -> str:
    """How many of each model's runs solved a task, and their median steps."""
    if content is None:
        return UNKNOWN
    return ", ".join(f"{named(model)} {_environment(list(runs.values()))}" for model, runs in content["runs"].items())


def hybrid(grid: Cells, learning: dict[str, Json]) -> str:
    """The hybrid between its two halves, on all tasks that it was run on."""
    parts = []
    for task, by_model in runs_by_task(grid, learning).items():
        shown = {m: by_model[m] for m in ("agalite", "hybrid", "gtrxl", "gtrxl-128") if by_model.get(m)}
        if "hybrid" in shown and len(shown) > 1:
            outcomes = (f"{named(model).split(' (A')[0]} {_environment(runs)}" for model, runs in shown.items())
            parts.append(f"{task}: {', '.join(outcomes)}")
    return "; ".join(parts) or UNKNOWN


def linear(grid: Cells) -> str:
    """Those of AGaLiTe's kind on each corridor: solved, and the median steps from the first hundred episodes on."""
    parts = []
    for length in lengths_of(grid):
        cells = {model: runs for model in LINEAR if len(runs := grid.get(model, {}).get(length, [])) > 1}
        if len(cells) > 1:
            parts.append(f"{length} cells: {', '.join(f'{LABELS[m]} {_recalled(runs)}' for m, runs in cells.items())}")
    return "; ".join(parts) or UNKNOWN


def ablations(grid: Cells, found: Cells) -> str:
    """The changes with which AGaLiTe did not always solve the task, and the quickest and slowest of the others."""
    changed = {change: runs for change in ABLATIONS if (runs := found.get(change, {}).get(ABLATION_LENGTH, []))}
    if not changed:
        return UNKNOWN
    solved = {
        change: median for change, runs in changed.items() if all_solved(runs) and (median := steps_until_solved(runs))
    }
    said = []
    if unsolved := [_named(change) for change in changed if change not in solved]:
        said.append(f"not solved by every seed with {listed(unsolved)}")
    if solved:
        ends = (min(solved, key=solved.__getitem__), max(solved, key=solved.__getitem__))
        said.append(
            "solved soonest with {}, latest with {}".format(*(f"{_named(c)} ({steps(solved[c])})" for c in ends))
        )
    whole = grid.get("agalite", {}).get(ABLATION_LENGTH, [])
    if all_solved(whole) and (median := steps_until_solved(whole)):
        said.append(f"as it is after {steps(median)}")
    return "; ".join(said)


def _named(change: str) -> str:
    return f'"{change.replace("-", " ")}"'


def _recalled(runs: Sequence[Json]) -> str:
    recalled_after = [rest for _, rest in phases_of(runs)]
    outcome = solved_of(runs)
    return f"{outcome} after {steps(statistics.median(recalled_after))}" if recalled_after else outcome


def _environment(runs: list[Any]) -> str:
    median = steps_until_solved(runs)
    return solved_of(runs) if median is None else f"{solved_of(runs)} after {steps(median)}"
