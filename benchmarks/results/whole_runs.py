"""Whole runs of RLlib: steps per second and memory by context, and the wall clock until T-Maze is solved."""

from __future__ import annotations

from benchmarks.results import cost
from benchmarks.results.markdown import measured_by, not_measured, steps, table, than
from benchmarks.results.sources import Json, Sources
from benchmarks.results.verdicts import MET, MISSED, NOT_MEASURED, Verdict, of_cases

WHOLE_RUNS, WALL_CLOCK = "training/whole_runs.json", "tmaze/wall_clock.json"
AGALITE, KERNELS = "AGaLiTe", "AGaLiTe with kernels"
LESS = 0.5
LSTM = "RLlib's LSTM"


def memory_verdicts(whole: Json | None) -> list[Verdict]:
    """Judge whether processes of RLlib need half of the memory that they need with a GTrXL: all, and what is added.

    A process that does nothing but import RLlib and PyTorch has hundreds of MiB.
    """
    verdicts = []
    for process in ("runner", "learner"):
        for key, what in (("peak", "peaks at"), ("added", "takes on, in training,")):
            found, true = [], []
            for size, result in (whole["results"] if whole else {}).items():
                models = result["models"]
                ours = models[AGALITE][f"{process}_{key}_mib"]
                ratios = {
                    label.partition(", ")[2]: ours / measured[f"{process}_{key}_mib"]
                    for label, measured in models.items()
                    if label.startswith("GTrXL")
                }
                ends = (f"{than(ratios[m], 'less', 'more')} at {m}" for m in (next(iter(ratios)), list(ratios)[-1]))
                found.append(f"{size}: {' to '.join(ends)}")
                true += [ratio <= LESS for ratio in ratios.values()]
            claim = f"RLlib's {process} {what} half the memory of one with GTrXL, or less"
            verdicts.append(Verdict(claim, "; ".join(found), of_cases(true)))
    return verdicts


def wall_clock_verdict(clock: Json | None) -> Verdict:
    """Judge whether AGaLiTe solves T-Maze in no more seconds than RLlib's own LSTM."""
    claim = "wall clock to solve T-Maze, 20 cells: no longer than with RLlib's `use_lstm`"
    if clock is None or "summary" not in clock:
        return Verdict(claim, "", NOT_MEASURED)
    rate, reference = min(_tried(clock, LSTM).items(), key=lambda item: item[1]["median_seconds"])
    ratios = {
        cost.with_kernels(name): s["median_seconds"] / reference["median_seconds"]
        for name, s in clock["summary"].items()
        if name != LSTM
    }
    found = "; ".join(f"{name}: {than(ratio, 'shorter', 'longer')}" for name, ratio in ratios.items())
    seeds = min(map(len, clock["runs"].values()))
    found += f" (medians of {seeds} seeds; the LSTM with the best of its learning rates, {rate:g})"
    return Verdict(claim, found, of_cases([ratio <= 1 for ratio in ratios.values()], MET, MISSED))


def whole_runs_table(sources: Sources) -> str:
    """Steps per second and memory of whole runs, by size and model."""
    whole = sources.read(WHOLE_RUNS)
    if whole is None:
        return not_measured(WHOLE_RUNS, "python -m benchmarks.training.whole_runs")
    rows = [["size", "model", "env steps / s", "of AGaLiTe's", "runner, peak", "learner, peak"]]
    for size, result in whole["results"].items():
        for label, measured in result["models"].items():
            memory = [
                f"{measured[f'{process}_peak_mib']:,.0f} MiB (+ {measured[f'{process}_added_mib']:,.0f})"
                for process in ("runner", "learner")
            ]
            ratio = result["of AGaLiTe's"][label]["env_steps_per_second"]
            rows.append([size, named(label), f"{measured['env_steps_per_second']:,.0f}", f"{ratio:.2f} ×", *memory])
    return (
        f"{table(rows)}\n\nIn brackets what a process took on after it had built its module.\n\n"
        f"{measured_by(WHOLE_RUNS, whole)}"
    )


def wall_clock_table(sources: Sources) -> str:
    """Until T-Maze with 20 cells is solved: steps, seconds."""
    clock = sources.read(WALL_CLOCK)
    if clock is None or "summary" not in clock:
        return not_measured(WALL_CLOCK, "python -m benchmarks.tmaze.wall_clock")
    rows = [["model", "lr", "solved", "env steps (median)", "seconds (median)", "seconds / 1,000 steps"]]
    for name in clock["summary"]:
        for lr, s in _tried(clock, name).items():
            chosen = lr == _searched(clock, name)["chosen"]
            medians = [steps(s["median_env_steps"]), f"{s['median_seconds']:.0f}"]
            rate = f"{s['seconds_per_1000_env_steps']:.2f}"
            rows.append([cost.with_kernels(name), f"{lr:g}{', chosen' * chosen}", s["solved"], *medians, rate])
    return f"{table(rows)}\n\n{measured_by(WALL_CLOCK, clock)}"


def named(label: str) -> str:
    """Name a model of whole runs as it is named in the other tables."""
    return cost.KERNELS if label == KERNELS else label


def _tried(clock: Json, name: str) -> dict[float, Json]:
    """Return what a contender came to by learning rate: the chosen one, and the others if they were tried."""
    others = clock.get("other_learning_rates", {}).get(name, {})
    rates = {float(lr): tried["summary"] for lr, tried in others.items()}
    return {_searched(clock, name)["chosen"]: clock["summary"][name], **rates}


def _searched(clock: Json, name: str) -> Json:
    """Return the search of the learning rate of a contender; kernels do not change it."""
    search: Json = clock["search"][LSTM if name == LSTM else AGALITE]
    return search
