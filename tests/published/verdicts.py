"""The rows of docs/results.md with places and verdicts, made without the code that writes them."""

from __future__ import annotations

from statistics import fmean, median

from tests.published.costs import beside_lstm_rows, context_rows, cost_rows, loop_rows, plumbing_rows, whole_run_rows
from tests.published.reading import (
    BUDGETS,
    KERNEL_NAMES,
    NAMES,
    k,
    percent_less,
    read,
    row,
    solved,
    solved_steps,
    success,
    verdict,
)
from tests.published.training import (
    ablation_rows,
    all_tasks,
    catalog_probe_rows,
    comparable,
    comparison_rows,
    environment_rows,
    grid_rows,
    probe_rows,
    search_rows,
    tmaze_rows,
    which_model_rows,
)


def ranking_rows():
    models = read("models/cost.json")["models"]
    left_out = ("GTrXL, M = 64", "GTrXL, M = 256", "GTrXL, M = 128, keys recomputed")
    kept = {name: m for name, m in models.items() if name not in left_out}
    respects = {
        "cheapest step, B = 1": ({n: m["acting_ms"]["B=1"] for n, m in kept.items()}, "{:.2f} ms"),
        "cheapest step, B = 32": ({n: m["acting_ms"]["B=32"] for n, m in kept.items()}, "{:.2f} ms"),
        "cheapest training, 1,024 tokens": (
            {n: m["training_ms_per_1024_tokens"]["B=8, T=128"] for n, m in kept.items()},
            "{:.0f} ms",
        ),
        "smallest state": ({n: m["state_bytes"] / 1024 for n, m in kept.items()}, "{:,.0f} KiB"),
    }
    rows = []
    for what, (values, form) in respects.items():
        order = sorted(values, key=lambda name: values[name])
        place = f"{order.index('AGaLiTe') + 1} of {len(order)}, {form.format(values['AGaLiTe'])}"
        rows.append(row(what, *(f"{name}, {form.format(values[name])}" for name in order[:2]), place))
    for task, by_model in all_tasks().items():
        done = {m: solved_steps(runs) for m, runs in by_model.items() if all(r["solved"] for r in runs)}
        if not done:
            continue
        order = sorted(done, key=lambda model: done[model])
        written = {m: f"{k(done[m])} ({solved(by_model[m])})" for m in order}
        places = [f"{NAMES[m]}, {written[m]}" for m in order[:2]]
        place = f"solved by {solved(by_model['agalite'])}, of {len(by_model)} models"
        if "agalite" in done:
            place = f"{order.index('agalite') + 1} of {len(by_model)}, {written['agalite']}"
        rows.append(row(f"fewest steps, {task}", *places, *["–"] * (2 - len(places)), place))
    return rows


def claim_rows():
    """The verdicts on what AGaLiTe's paper claims, and on this package's targets."""
    cost, context = read("models/cost.json"), read("models/context.json")
    models, growth = cost["models"], cost["growth"]["models"]

    def of(name, batches=("B=1", "B=8", "B=32", "B=128")):
        ours, theirs = models["AGaLiTe"]["acting_ms"], models[name]["acting_ms"]
        return {b.replace("=", " = "): ours[b] / theirs[b] for b in batches}

    acting = "acting is at least 40 % cheaper than with"
    kernels = context["results"]["4 × 128"]["AGaLiTe of GTrXL's"]["acting_ms"]["kernels"]
    grown = growth["GTrXL, M = context"]["acting_ms"]
    gtrxl = models["GTrXL, M = 128"]
    cases = [
        (f"{acting} our best GTrXL, M = 128", of("GTrXL, M = 128"), 0.6, "cheaper", "dearer"),
        (
            f"{acting} our best GTrXL, M = 128, with the optional kernels, of a whole step for AGaLiTe, for GTrXL of "
            "its gates alone",
            {b.replace("=", " = "): cells["GTrXL, M = 128"] for b, cells in kernels.items()},
            0.6,
            "cheaper",
            "dearer",
        ),
        (
            f"{acting} a GTrXL that recomputes keys and values, M = 128",
            of("GTrXL, M = 128, keys recomputed"),
            0.6,
            "cheaper",
            "dearer",
        ),
        (
            f"{acting} our best GTrXL whose M is the context",
            {f"{int(c):,} steps": growth["AGaLiTe"]["acting_ms"][c] / ms for c, ms in grown.items()},
            0.6,
            "cheaper",
            "dearer",
        ),
    ]
    for what, key in (
        ("the state takes at least 50 % less memory", "state_bytes"),
        ("a training step's peak takes at least 50 % less memory", "training_peak_memory_bytes"),
    ):
        cases.append((what, {"M = 128": models["AGaLiTe"][key] / gtrxl[key]}, 0.5, "less", "more"))
    rows = []
    for claim, ratios, limit, less, other in cases:
        found = "; ".join(f"{case}: {percent_less(ratio, less, other)}" for case, ratio in ratios.items())
        rows.append(row(claim, found, verdict([ratio <= limit for ratio in ratios.values()])))
    return rows + process_rows() + better_rows() + target_rows()


def process_rows():
    rows = []
    for process in ("runner", "learner"):
        for key, verb in (("peak", "peaks at"), ("added", "takes on, in training,")):
            said, true = [], []
            for size, result in read("training/whole_runs.json")["results"].items():
                m = result["models"]
                ratios = {
                    name[len("GTrXL, ") :]: m["AGaLiTe"][f"{process}_{key}_mib"] / theirs[f"{process}_{key}_mib"]
                    for name, theirs in m.items()
                    if name.startswith("GTrXL")
                }
                ends = [f"{percent_less(ratios[at], 'less', 'more')} at {at}" for at in ("M = 64", "M = 4096")]
                said.append(f"{size}: {' to '.join(ends)}")
                true += [ratio <= 0.5 for ratio in ratios.values()]
            claim = f"RLlib's {process} {verb} half the memory of one with GTrXL, or less"
            rows.append(row(claim, "; ".join(said), verdict(true)))
    return rows


def better_rows():
    """AGaLiTe's success at 80 cells, the only task with three seeds of which one GTrXL's window is too short."""
    rows = []
    cells = comparable()
    for theirs, which, said, judged in (
        ("gtrxl-32", "longer than its window", "intervals apart", "reproduced"),
        ("gtrxl-128", "that its window spans", "intervals overlap", "not shown"),
    ):
        budget, batch = BUDGETS[80]
        ours, others, title = cells[theirs, 80]
        a, b = (fmean(min(success(r, budget + batch), 0.95) for r in runs) for runs in (ours, others))
        claim = f"at least 37 % more success than with GTrXL at equal steps, on a task {which}"
        found = f"{title}, {NAMES[theirs]}: {a:.2f} against {b:.2f}, {a / b:.2f} ×, 3 seeds, {said}"
        worst, best = (
            min(min(success(r, budget + batch), 0.95) for r in ours),
            max(min(success(r, budget + batch), 0.95) for r in others),
        )
        assert (worst > best + 1e-9) == (said == "intervals apart")
        assert (a / b >= 1.37 and worst > best) == (judged == "reproduced")
        rows.append(row(claim, found, f"**{judged}**"))
    return rows


def target_rows():
    results, rows = read("models/beside_lstm.json")["results"], []
    cases = [(f"acting, B = {b}", limit) for b, limit in ((1, 0.5), (8, 0.8), (64, 1.2))]
    for case, limit in cases:
        ratios = {size: result[case]["of the LSTM's"]["AGaLiTe"] for size, result in results.items()}
        said = "; ".join(f"{size}: {ratio:.2f} ×" for size, ratio in ratios.items())
        judged = verdict([ratio <= limit for ratio in ratios.values()], "met", "missed")
        rows.append(row(f"{case}: at most {limit:.1f} × an LSTM's time", said, judged))
    said, true = [], []
    for size, result in results.items():
        ratios = [m["of the LSTM's"]["AGaLiTe"] for case, m in result.items() if case.startswith("training")]
        said.append(f"{size}: {min(ratios):.2f} to {max(ratios):.2f} ×")
        true += [ratio <= 1.5 for ratio in ratios]
    judged = verdict(true, "met", "missed")
    rows.append(row("training: at most 1.5 × an LSTM's time", "; ".join(said), judged))
    clock = read("tmaze/wall_clock.json")
    lstm = {float(lr): other["runs"] for lr, other in clock["other_learning_rates"]["RLlib's LSTM"].items()}
    lstm[clock["search"]["RLlib's LSTM"]["chosen"]] = clock["runs"]["RLlib's LSTM"]
    seconds = {lr: median(r["seconds"] for r in runs) for lr, runs in lstm.items()}
    best = min(seconds, key=lambda lr: seconds[lr])
    ours = {
        name: median(r["seconds"] for r in clock["runs"][key]) / seconds[best] for key, name in KERNEL_NAMES.items()
    }
    said = "; ".join(f"{name}: {percent_less(ratio, 'shorter', 'longer')}" for name, ratio in ours.items())
    said += f" (medians of 5 seeds; the LSTM with the best of its learning rates, {best:g})"
    claim = "wall clock to solve T-Maze, 20 cells: no longer than with RLlib's `use_lstm`"
    rows.append(row(claim, said, verdict([ratio <= 1 for ratio in ours.values()], "met", "missed")))
    return rows


def all_rows():
    """Every row of every table of the page, but for heads."""
    made = (
        environment_rows,
        grid_rows,
        search_rows,
        ablation_rows,
        comparison_rows,
        tmaze_rows,
        which_model_rows,
        probe_rows,
        catalog_probe_rows,
        cost_rows,
        context_rows,
        beside_lstm_rows,
        loop_rows,
        whole_run_rows,
        plumbing_rows,
        ranking_rows,
        claim_rows,
    )
    return [each for make in made for each in make()]
