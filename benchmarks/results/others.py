"""Supervised recall, other environments than T-Maze, and what travels through RLlib."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.memory.plan import ABLATIONS
from benchmarks.results.labels import TITLES, named
from benchmarks.results.markdown import NOTHING, listed, made_by, not_measured, percent, steps, table
from benchmarks.results.sources import Json, Sources

PROBE, LEARNING, CATALOG = "memory/probe.json", "envs/learning", "tmaze/catalog.json"
BESIDE_LSTM = "tmaze/learning.json"
STATES, PACKING, VIEWS = "states/states.json", "training/packing.json", "model_v2/bytes_per_step.json"


def probe_table(sources: Sources) -> str:
    """Updates until a model recalls, supervised; where they do not suffice, the share of right answers."""
    probe = sources.read(PROBE)
    if probe is None:
        return not_measured(PROBE, "python -m benchmarks.memory.probe")
    variants = probe["variants"]
    tasks = list(dict.fromkeys(task for outcomes in variants.values() for task in outcomes if task != "model"))
    rows = [["model", *tasks]]
    for variant, outcomes in variants.items():
        label = named(variant)
        if variant.removeprefix("agalite-") in ABLATIONS:
            label = f"AGaLiTe ({variant.removeprefix('agalite-').replace('-', ' ')})"
        rows.append([label, *(updates(outcomes.get(task, [])) for task in tasks)])
    limit, right = probe["settings"]["max_updates"], percent(probe["settings"]["right"])
    return (
        f"Median updates until {right} of the answers are right; of those that {limit} do not suffice, the "
        f"share of right answers then.\n\n{table(rows)}\n\n{made_by(PROBE, probe['command'])}"
    )


def environments(sources: Sources) -> str:
    """A table over all tasks, and the figures that their benchmark has drawn."""
    tasks = sources.learning()
    if not tasks:
        return not_measured(f"{LEARNING}/", "python -m benchmarks.envs.learning")
    rows = [["task", "model", "solved", "env steps (median)", "CPU seconds (median)", "return", "success rate"]]
    ordered = [name for name in TITLES if name in tasks] + [name for name in tasks if name not in TITLES]
    for name in ordered:
        for index, (model, by_seed) in enumerate(tasks[name]["runs"].items()):
            title = f"[{TITLES.get(name, name)}](../benchmarks/{LEARNING}/{name}.json)" if index == 0 else ""
            rows.append([title, named(model), *_outcome(list(by_seed.values()))])
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
    return "\n\n".join([table(rows), f"<sub>{' · '.join(made)}</sub>", *figures])


def plumbing_table(sources: Sources) -> str:
    """What sparse states, packed rows and views spare RLlib."""
    rows = [["what", "case", "figure", "from"]]
    for result in (sources.read(STATES) or {"results": []})["results"]:
        if result["envs"] < 32 or result["state_kib"] < 56:  # where states are small, there is little to spare
            continue
        case = f"states of {result['state_kib']} KiB, {result['envs']} environments"
        shipped = result["stock_to_sparse"]["bytes_per_step"]
        figure = f"{shipped:.1f} × fewer bytes per step, sampling {result['sampling_speedup']:.2f} × as fast"
        rows.append(["sparse states", case, figure, _link(STATES)])
    for result in (sources.read(PACKING) or {"results": []})["results"]:
        if result["model"] == "agalite":
            case = f"{result['task']}, rows of {result['max_seq_len']}"
            rows.append(["packed rows", case, f"updates {result['speedup']['median']:.2f} × as fast", _link(PACKING)])
    for model, result in (sources.read(VIEWS) or {"results": {}})["results"].items():
        figure = f"{result['ratio']:.2f} × the bytes per step of RLlib's own way"
        rows.append(["views on the old API stack", model, figure, _link(VIEWS)])
    return table(rows) if len(rows) > 1 else f"Not measured yet: {STATES}, {PACKING} and {VIEWS} are missing."


def beside_rllib_table(sources: Sources) -> str:
    """AGaLiTe and RLlib's own LSTM on two corridors, trained side by side."""
    content = sources.read(BESIDE_LSTM)
    if content is None:
        return not_measured(BESIDE_LSTM, "python -m benchmarks.tmaze.learning")
    rows = [["corridor", "model", "solved", "env steps (median)", "seconds (median)"]]
    for length, corridor in content["tasks"].items():
        for model, s in corridor["summary"].items():
            rows.append([f"{length} cells", model, s["solved"], *medians(s)])
    return f"{table(rows)}\n\n{made_by(BESIDE_LSTM, content['command'])}"


def medians(summary: Json) -> list[str]:
    """Write the median steps and seconds of runs, as bounds where half of the runs or fewer were solved."""
    solved, runs = map(int, summary["solved"].split(" of "))
    more = "" if 2 * solved > runs else "> "
    return [f"{more}{steps(summary['median_env_steps'])}", f"{more}{summary['median_seconds']:.0f}"]


def catalog_table(sources: Sources) -> str:
    """Every model of the catalog on a T-Maze of 10 cells."""
    catalog = sources.read(CATALOG)
    if catalog is None:
        return not_measured(CATALOG, "python -m benchmarks.tmaze.catalog")
    rows = [["", *(named(model) for model in catalog["runs"])]]
    rows.append(["steps until solved", *(_steps_of(run) for run in catalog["runs"].values())])
    return f"{table(rows)}\n\n{made_by(CATALOG, catalog['command'])}"


def _runs_of(by_model: Mapping[str, Json]) -> str:
    """Write the options that name these models and seeds: a task need not have an example of every model."""
    seeds = sorted({int(seed) for by_seed in by_model.values() for seed in by_seed})
    return f"--models {' '.join(by_model)} --seeds {' '.join(map(str, seeds))}"


def _steps_of(run: Json) -> str:
    return steps(run["env_steps"]) if run["solved"] else NOTHING


def updates(outcomes: Sequence[Json]) -> str:
    """Write the median updates of an outcome for each seed."""
    if not outcomes:
        return NOTHING
    solved = [outcome["updates"] for outcome in outcomes if outcome["updates"] is not None]
    if len(solved) == len(outcomes):
        return f"{statistics.median(solved):.0f}"
    share = percent(statistics.median(outcome["right"] for outcome in outcomes))
    return f"{share} right" + (f", {len(solved)} of {len(outcomes)} solved" if solved else "")


def _outcome(runs: list[Any]) -> list[str]:
    """How a model's runs ended: medians of all, those that were not solved included."""
    n_solved = sum(run["solved"] for run in runs)
    env_steps, seconds = (statistics.median(run[key] for run in runs) for key in ("env_steps", "cpu_seconds"))
    more = "" if 2 * n_solved > len(runs) else "> "
    ends = [[run[key] for run in runs if run[key] is not None] for key in ("return", "success_rate")]
    ended = [f"{statistics.median(values):.2f}" if values else NOTHING for values in ends]
    return [f"{n_solved} of {len(runs)}", f"{more}{steps(env_steps)}", f"{more}{seconds:,.0f}", *ended]


def _link(place: str) -> str:
    return f"[{place.rpartition('/')[2]}](../benchmarks/{place})"
