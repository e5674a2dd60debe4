"""The rows of docs/results.md on what training came to, made without the code that writes them."""

from __future__ import annotations

import json
import math
from statistics import median

from tests.published.reading import (
    BENCHMARKS,
    BUDGETS,
    GRID_MODELS,
    KERNEL_NAMES,
    NAMES,
    OTHER_NAMES,
    TASKS,
    WINDOWS,
    interval,
    k,
    last_twenty,
    learning,
    memory_runs,
    middle,
    more,
    read,
    row,
    solved,
    solved_steps,
    success,
)


def environment_rows():
    rows = []
    tasks = learning()
    files = {name: read(f"envs/learning/{name}.json") for name in tasks}
    for name in TASKS:
        for index, (model, runs) in enumerate(tasks[name].items()):
            cpus = {r["machine"]["cpu"] for r in runs}
            assert len(cpus) == 1
            mark = {"AMD EPYC": "ᵃ", "Intel(R) Xeon(R) Processor": "ᵇ"}[cpus.pop()]
            title = f"[{TASKS[name]}](../benchmarks/envs/learning/{name}.json)" if index == 0 else ""
            sign = more(runs)
            ends = []
            for key in ("return", "success_rate"):
                means = last_twenty(runs, key)
                known = any(p[key] is not None for r in runs for p in r["curve"])
                ends.append(f"{median(means):.2f}" if means else "goal" if known else "–")
            steps = f"{sign}{k(median(r['env_steps'] for r in runs))}"
            seconds = f"{sign}{median(r['cpu_seconds'] for r in runs):,.0f} s{mark}"
            rows.append(row(title, NAMES[model], solved(runs), steps, seconds, *ends))
    assert files.keys() == TASKS.keys()
    return rows


def grid_rows():
    """Success, steps until solved with CPU seconds, and phases, for each model of the grid."""
    grid, rows = memory_runs("grid"), []
    for model in GRID_MODELS:
        successes, outcomes, phases, pooled = [], [], [], {}
        for length, (budget, batch) in BUDGETS.items():
            runs = grid.get((model, length), [])
            if not runs:
                successes.append("–"), outcomes.append("–"), phases.append("–")
                continue
            rates = pooled[length] = [success(r, budget + batch) for r in runs]
            successes.append(f"{middle(rates):.2f}{interval(rates)} ({len(rates)})")
            outcomes.append(outcome(runs))
            phases.append(phases_of(runs))
        n = min(map(len, pooled.values()))
        together = [rate for rates in pooled.values() for rate in rates[:n]]
        whole = f"{middle(together):.2f} ({n})" if len(pooled) == len(BUDGETS) else "–"
        assert whole == "–" or n == 1
        rows += [row(NAMES[model], *successes, whole), row(NAMES[model], *outcomes), row(NAMES[model], *phases)]
    return rows


def outcome(runs, marks=True):
    of = solved(runs)
    if of.startswith("0"):
        return of
    cpus = {r["machine"]["cpu"] for r in runs if r["solved"]}
    assert len(cpus) == 1
    mark = {"Intel(R) Xeon(R) Processor": "ᵃ", "AMD EPYC": "ᵇ"}[cpus.pop()] if marks else ""
    seconds = median(r["cpu_seconds"] for r in runs if r["solved"])
    return f"{of}, {k(solved_steps(runs))}, {seconds:,.0f} s{mark}"


def phases_of(runs):
    def first(run):
        return min((p["env_steps"] for p in run["curve"] if p["success_rate"] is not None), default=None)

    done = [r for r in runs if r["solved"]]
    parts = []
    if done:
        walking, recalling = median(map(first, done)), median(r["env_steps"] - first(r) for r in done)
        parts.append(f"{k(walking)} + {k(recalling)}")
    late = [first(r) for r in runs if not r["solved"]]
    if late:
        parts.append("unsolved: " + ", ".join("never" if f is None else k(f) for f in late))
    return "; ".join(parts)


def search_rows():
    found, rows, chosen = memory_runs("search"), [], {}
    for model in GRID_MODELS:
        by_rate = {r["lr"]: r for r in found[model, 20]}
        quickest = min((r for r in by_rate.values() if r["solved"]), key=lambda r: r["env_steps"])
        chosen[model] = quickest["lr"]
        cells = []
        for lr in (3e-4, 6e-4, 1.2e-3):
            run = by_rate[lr]
            cells.append(k(run["env_steps"]) if run["solved"] else f"{last_twenty([run], 'success_rate')[0]:.2f}")
        rows.append(row(NAMES[model], *cells, f"{chosen[model]:g}"))
    grid = memory_runs("grid")
    assert all(r["lr"] == chosen[model] for (model, _), runs in grid.items() for r in runs)
    rate = memory_runs("rate")
    for model in ("agalite", "gla"):
        runs = [*rate[model, 80], *grid[model, 80]]
        cells = []
        for lr in (3e-4, 6e-4, 1.2e-3):
            of_rate = [r for r in runs if r["lr"] == lr]
            cells.append(f"{solved(of_rate)}, {k(solved_steps(of_rate))}")
        rows.append(row(NAMES[model], *cells))
    return rows


def ablation_rows():
    found = memory_runs("ablation")
    cells = {"nothing": memory_runs("grid")["agalite", 40]}
    cells |= {change.replace("-", " "): runs for (change, _), runs in found.items()}
    budget, batch = BUDGETS[40]
    rows = []
    for change, runs in cells.items():
        rates = [success(r, budget + batch) for r in runs]
        rows.append(row(change, f"{middle(rates):.2f}{interval(rates)} ({len(rates)})", outcome(runs, marks=False)))
    return rows


def comparison_rows():
    rows = []
    for (theirs, where), (ours_runs, their_runs, title) in comparable().items():
        if isinstance(where, int):
            budget, batch = BUDGETS[where]
            ours, others = ([success(r, budget + batch) for r in runs] for runs in (ours_runs, their_runs))
        else:
            both = (*ours_runs, *their_runs)
            last = min((r["env_steps"] for r in both if not r["solved"]), default=math.inf) * 1.01
            ours, others = ([success(r, last) for r in runs] for runs in (ours_runs, their_runs))
        ours, others = ([min(rate, 0.95) for rate in rates] for rates in (ours, others))
        a, b, seeds = middle(ours), middle(others), min(len(ours), len(others))
        apart = min(ours) > max(others) + 1e-9 or min(others) > max(ours) + 1e-9
        steps = "–"
        if all(r["solved"] for r in (*ours_runs, *their_runs)):
            steps = f"{solved_steps(ours_runs) / solved_steps(their_runs):.2f} × GTrXL's"
        window = WINDOWS.get((theirs, where), "suffices")
        seen = "–" if seeds == 1 else "apart" if apart else "overlap"
        rows.append(row(title, NAMES[theirs], window, f"{a:.2f} / {b:.2f} = {a / b:.2f}", str(seeds), seen, steps))
    return rows


def comparable():
    """(GTrXL, corridor or task) → AGaLiTe's runs, GTrXL's, and what the task is called."""
    grid, tasks, found = memory_runs("grid"), learning(), {}
    for length, (budget, _) in BUDGETS.items():
        for theirs in ("gtrxl-32", "gtrxl-128"):
            if (theirs, length) in grid:
                title = f"T-Maze, {length} cells, {budget:,} steps"
                found[theirs, length] = (grid["agalite", length], grid[theirs, length], title)
    for name, theirs in (
        ("miniworld-memory-tmaze-long", "gtrxl-4"),
        ("minigrid-memory-s7", "gtrxl"),
        ("miniworld-memory-tmaze", "gtrxl"),
    ):
        found[theirs, name] = (tasks[name]["agalite"], tasks[name][theirs], TASKS[name])
    return found


def tmaze_rows():
    rows = []
    for length, task in read("tmaze/learning.json")["tasks"].items():
        for model, runs in task["runs"].items():
            steps, seconds = median(r["env_steps"] for r in runs), median(r["seconds"] for r in runs)
            sign = more(runs)
            rows.append(row(f"{length} cells", model, solved(runs), f"{sign}{k(steps)}", f"{sign}{seconds:.0f}"))
    catalog = read("tmaze/catalog.json")["runs"]
    assert all(run["solved"] for run in catalog.values())
    rows += [row(NAMES.get(model) or OTHER_NAMES[model], k(run["env_steps"])) for model, run in catalog.items()]
    clock = read("tmaze/wall_clock.json")
    for model, runs in clock["runs"].items():
        searched = clock["search"]["RLlib's LSTM" if "LSTM" in model else "AGaLiTe"]["chosen"]
        tried = {f"{searched:g}, chosen": runs}
        for lr, other in clock["other_learning_rates"].get(model, {}).items():
            tried[f"{float(lr):g}"] = other["runs"]
        for lr, of_rate in tried.items():
            steps, seconds = (median(r[key] for r in of_rate) for key in ("env_steps", "seconds"))
            per = seconds_per_1000(of_rate)
            if per is None:  # of those that were not chosen only the ends were kept
                others = clock["other_learning_rates"][model]
                per = next(o["summary"]["seconds_per_1000_env_steps"] for o in others.values() if o["runs"] is of_rate)
            name = KERNEL_NAMES.get(model, model)
            rows.append(row(name, lr, solved(of_rate), k(steps), f"{seconds:.0f}", f"{per:.2f}"))
    return rows


def seconds_per_1000(runs):
    """The median over all iterations but the first of each run, which builds things."""
    if "curve" not in runs[0]:
        return None
    rates = []
    for run in runs:
        points = run["curve"]
        for i in range(1, len(points)):
            steps = points[i]["env_steps"] - points[i - 1]["env_steps"]
            rates.append((points[i]["seconds"] - points[i - 1]["seconds"]) / steps * 1000)
    return median(rates)


def probe_rows():
    rows, probe = [], read("memory/probe.json")["variants"]
    for variant, outcomes in probe.items():
        cells = []
        for task in ("bit, 40 steps", "bit, 160 steps", "repeat, 20 steps"):
            seeds = outcomes.get(task, [])
            known = [o["updates"] for o in seeds if o["updates"] is not None]
            if not seeds:
                cells.append("–")
            elif len(known) == len(seeds):
                cells.append(f"{median(known):.0f}")
            else:
                right = f"{100 * median(o['right'] for o in seeds):.0f} % right"
                cells.append(right + (f", {len(known)} of {len(seeds)} solved" if known else ""))
        rows.append(row(NAMES[variant], *cells))
    return rows


def all_tasks():
    """Task, as it is called → model → its runs."""
    tasks = {}
    for (model, length), runs in sorted(memory_runs("grid").items(), key=lambda cell: cell[0][1]):
        tasks.setdefault(f"T-Maze, {length} cells", {})[model] = runs
    tasks = {task: {m: by_model[m] for m in GRID_MODELS if m in by_model} for task, by_model in tasks.items()}
    found = learning()
    return tasks | {title: found[name] for name, title in TASKS.items()}


# What the names of changes do not spell out as a setting and its value.
CHANGES = {
    "without-dct2": "frequencies: distinct",
    "without-conv": "conv_size: 0",
    "without-head-norm": "head_norm: false",
    "without-output-gate": "output_gate: false",
}
FURTHER = {
    "": "",
    "256": ", `max_timescale: 256`",
    "conv": ", short convolution",
    "plain": ", plain",
    "conv-rotary": ", short convolution, rotated keys",
}


def which_model_rows():
    models: dict = {}
    for path in sorted((BENCHMARKS / "which_model" / "runs").rglob("*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        models.setdefault(run["model"], {}).setdefault(path.parent.name, []).append(run)
    rows = []
    hybrids = {model for model in models if model.startswith("hybrid-")}
    whole = {model for model in models if model.partition("-")[2] in FURTHER} - {"galite"} | hybrids
    ablated = bool(models.keys() - whole)
    for model, tasks in models.items():
        plain, _, change = model.partition("-")
        cells = []
        for task in ("repeat_previous", "repeat_first", "memory_s7", "tmaze_60"):
            runs = sorted((not run["solved"], run["env_steps"]) for run in tasks.get(task, []))
            cells.append(", ".join("> " * unsolved + k(steps) for unsolved, steps in runs) or "–")
        if model in hybrids:
            name = f"{NAMES.get(change) or OTHER_NAMES[change]} below attention to the last 16 steps"
            rows.append(row(name, *cells))
            continue
        name = NAMES.get(plain) or OTHER_NAMES[plain]
        if model in whole:
            name += FURTHER[change]
            rows.append(row(name, *cells))
        if model not in whole and change:
            setting, _, value = change.rpartition("-")
            told = CHANGES.get(change) or f"{setting.replace('-', '_')}: {value}"
            rows.append(row(f"{name}, `{told}`", cells[2]))
        if model in ("agalite", "agalite-plain", "galite", "gla") and ablated and "memory_s7" in tasks:
            rows.append(row(name, cells[2]))
    return rows


def catalog_probe_rows():
    """One seed each, so far."""
    found = read("probe/catalog.json")
    columns = [(column["task"], str(column["times"])) for column in found["columns"]]
    rows = [row("chance", "", *(f"{100 * column['chance']:.0f} %" for column in found["columns"]))]
    for name, model in found["models"].items():
        cells = []
        for task, times in columns:
            (cell,) = model["cells"][task].values()
            right = cell["beyond"][times] if times != "1" else cell["right"]
            solved = cell["updates"] is not None and times == "1"
            # What is not all right is not called 100 %.
            cells.append(str(cell["updates"]) if solved else f"{100 if right == 1 else min(round(100 * right), 99)} %")
        rows.append(row(name, f"{model['parameters']:,}", *cells))
    return rows
