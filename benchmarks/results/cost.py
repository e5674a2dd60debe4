"""What acting, training and memory cost: AGaLiTe beside GTrXL, and beside an LSTM with as many parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.results.context import ratios_with_kernels
from benchmarks.results.markdown import NOTHING, listed, measured_by, not_measured, table
from benchmarks.results.sources import Json, Sources
from benchmarks.results.verdicts import MET, MISSED, Verdict, at_most, of_cases

COST, BESIDE_LSTM = "models/cost.json", "models/beside_lstm.json"
LOOP, LOOP_MINIGRID = "training/loop.json", "training/loop_minigrid.json"
AGALITE, KERNELS = "AGaLiTe", "AGaLiTe, with kernels"
GTRXL, USUAL, GROWING = "GTrXL, M = 128", "GTrXL, M = 128, keys recomputed", "GTrXL, M = context"
KERNELS_SERVE = "of a whole step for AGaLiTe, for GTrXL of its gates alone"
CHEAPER, LESS = 0.6, 0.5  # what AGaLiTe's paper claims of GTrXL's inference and of its memory
# The project's own targets, in multiples of what an LSTM with as many parameters takes.
ACTING_TARGETS = {"acting, B = 1": 0.5, "acting, B = 8": 0.8, "acting, B = 64": 1.2}
TRAINING_TARGET = 1.5


def paper_verdicts(cost: Json | None, context: Json | None) -> list[Verdict]:
    """Judge what the paper claims of the cost, against our best GTrXL and against one as it is usually written."""
    acting = "acting is at least 40 % cheaper than with"
    cases = {
        f"{acting} our best GTrXL, M = 128": acting_ratios(cost, AGALITE, GTRXL),
        f"{acting} our best GTrXL, M = 128, with the optional kernels, {KERNELS_SERVE}": ratios_with_kernels(context),
        f"{acting} a GTrXL that recomputes keys and values, M = 128": acting_ratios(cost, AGALITE, USUAL),
        f"{acting} our best GTrXL whose M is the context": _growth_ratios(cost, "acting_ms"),
    }
    verdicts = [at_most(claim, ratios, CHEAPER, "cheaper", "dearer") for claim, ratios in cases.items()]
    models = cost["models"] if cost else {}
    for what, key in (
        ("the state takes", "state_bytes"),
        ("a training step's peak takes", "training_peak_memory_bytes"),
    ):
        ratios = {"M = 128": models[AGALITE][key] / models[GTRXL][key]} if models else {}
        verdicts.append(at_most(f"{what} at least 50 % less memory", ratios, LESS, "less", "more"))
    return verdicts


def target_verdicts(beside: Json | None, kernels: bool = True) -> list[Verdict]:
    """Judge the project's targets of speed, with the optional kernels or without."""
    cases: dict[tuple[str, float], dict[str, list[float]]] = {}
    for size, case, ratio, target in lstm_ratios(beside, kernels):
        what = case if case in ACTING_TARGETS else "training"
        cases.setdefault((what, target), {}).setdefault(size, []).append(ratio)
    verdicts = []
    for (what, target), by_size in cases.items():
        found = "; ".join(f"{size}: {_range(ratios)} ×" for size, ratios in by_size.items())
        true = [ratio <= target for ratios in by_size.values() for ratio in ratios]
        claim = f"{what}: at most {target:.1f} × an LSTM's time"
        verdicts.append(Verdict(claim, found, of_cases(true, MET, MISSED)))
    return verdicts


def lstm_ratios(beside: Json | None, kernels: bool, model: str = AGALITE) -> Iterator[tuple[str, str, float, float]]:
    """Go through the size, the case, a model's time in multiples of its LSTM's, and the target."""
    name = model if kernels else f"{model} without kernels"
    for size, result in (beside["results"] if beside else {}).items():
        for case, measured in result.items():
            target = TRAINING_TARGET if case.startswith("training") else ACTING_TARGETS.get(case)
            if target is not None and name in measured["of the LSTM's"]:
                yield size, case, measured["of the LSTM's"][name], target


def acting_ratios(cost: Json | None, ours: str, theirs: str) -> dict[str, float]:
    """Return a model's acting time in multiples of another's, by batch; nothing where one was not measured."""
    models: Mapping[str, Any] = cost["models"] if cost else {}
    if ours not in models or theirs not in models:
        return {}
    of_theirs = models[theirs]["acting_ms"]
    return {
        batch.replace("=", " = "): ms / of_theirs[batch]
        for batch, ms in models[ours]["acting_ms"].items()
        if batch in of_theirs
    }


def cost_table(sources: Sources) -> str:
    """AGaLiTe, GTrXL and LSTM: milliseconds of a step, of training, and bytes."""
    cost = sources.read(COST)
    if cost is None:
        return not_measured(COST, "python -m benchmarks.models.cost")
    shown = (AGALITE, GTRXL, USUAL, "LSTM")
    batches = list(cost["models"][AGALITE]["acting_ms"])
    head = ["model", *(f"acting, {batch.replace('=', ' = ')}" for batch in batches), "training, 1,024 tokens"]
    rows = [[*head, "peak memory of training", "state"]]
    for label in shown:
        m = cost["models"][label]
        rows.append(
            [
                label,
                *(f"{m['acting_ms'][batch]:.2f} ms" for batch in batches),
                f"{m['training_ms_per_1024_tokens']['B=8, T=128']:.0f} ms",
                f"{m['training_peak_memory_bytes'] / 2**20:.0f} MiB",
                f"{m['state_bytes'] / 1024:,.0f} KiB",
            ]
        )
    return f"{table(rows)}\n\n{measured_by(COST, cost)}"


def growth_table(sources: Sources) -> str:
    """A step and a state by how far back they reach."""
    cost = sources.read(COST)
    if cost is None:
        return not_measured(COST, "python -m benchmarks.models.cost")
    growth = cost["growth"]["models"]
    contexts = list(growth[AGALITE]["acting_ms"])
    rows = [["", *(f"{int(context):,} steps" for context in contexts)]]
    for label in (AGALITE, GROWING, "LSTM"):
        m = growth[label]
        cells = [f"{m['acting_ms'][c]:.2f} ms, {m['state_bytes'][c] / 1024:,.0f} KiB" for c in contexts]
        rows.append([label, *cells])
    ratios = zip(_growth_ratios(cost, "acting_ms").values(), _growth_ratios(cost, "state_bytes").values(), strict=True)
    rows.append(["AGaLiTe / GTrXL", *(f"{time:.2g} ×, {size:.2g} ×" for time, size in ratios)])
    return f"{table(rows)}\n\n{measured_by(COST, cost)}"


def beside_lstm_table(sources: Sources) -> str:
    """Models' times in multiples of their LSTM's, with and without kernels, and whether the targets are met."""
    beside = sources.read(BESIDE_LSTM)
    if beside is None:
        return not_measured(BESIDE_LSTM, "python -m benchmarks.models.beside_lstm")
    rows = [["", "target", *(f"{size}, {path}" for size in beside["results"] for path in ("kernels", "PyTorch"))]]
    for model in _models_beside_lstm(beside):
        by_case: dict[str, list[str]] = {}
        targets: dict[str, float] = {}
        for _, case, ratio, target in _alternating(beside, model):
            by_case.setdefault(case, []).append(f"{ratio:.2f} × {MET if ratio <= target else MISSED}")
            targets[case] = target
        rows += [[f"{model}, {case}", f"≤ {targets[case]:.1f} ×", *cells] for case, cells in by_case.items()]
    return f"{table(rows)}\n\n{measured_by(BESIDE_LSTM, beside)}"


def loop_table(sources: Sources) -> str:
    """Seconds of one iteration of PPO, by what they go to."""
    loop, minigrid = sources.read(LOOP), sources.read(LOOP_MINIGRID)
    rows = [["task, size", "model", "an iteration", "acting", "connectors, environment", "learner", "of RLlib's LSTM"]]
    for size, result in (loop["results"] if loop else {}).items():
        for label, measured in result["models"].items():
            ratio = result["ratios"].get(f"{label} / RLlib's LSTM")
            of_lstm = f"{ratio['whole loop']['median']:.2f} ×" if ratio else "1"
            rows.append([f"T-Maze, {size}", *_iteration(label, measured), of_lstm])
    for label, measured in (minigrid["results"] if minigrid else {}).items():
        rows.append(["MiniGrid-MemoryS7", *_iteration(label, measured), NOTHING])
    made = [
        measured_by(place, content) if content else not_measured(place, f"python -m benchmarks.training.{name}")
        for place, content, name in ((LOOP, loop, "loop"), (LOOP_MINIGRID, minigrid, "loop_minigrid"))
    ]
    sizes = {f"{content['env_steps_per_iteration']:,}" for content in (loop, minigrid) if content}
    intro = [f"One iteration of PPO, {listed(sorted(sizes))} environment steps; medians."] if sizes else []
    return "\n\n".join([*intro, *([table(rows)] if len(rows) > 1 else []), *made])


def with_kernels(label: str) -> str:
    """Name a model of a benchmark in which it is the kernels, not their absence, that goes without saying."""
    return {AGALITE: KERNELS, "AGaLiTe without kernels": AGALITE}.get(label, label)


def loop_parts(seconds_by_part: Mapping[str, float]) -> dict[str, float]:
    """Sum up the parts of an iteration under what a reader wants to know."""
    sums: dict[str, float] = {"acting": 0.0, "connectors, environment": 0.0, "learner": 0.0}
    for part, seconds in seconds_by_part.items():
        group = "acting" if part == "sampling: model" else "connectors, environment"
        sums["learner" if part.startswith("learner") else group] += seconds
    return sums


def _iteration(label: str, measured: Json) -> list[str]:
    parts = loop_parts(measured["seconds_by_part"])
    shares = [f"{parts[part]:.2f} s" for part in ("acting", "connectors, environment", "learner")]
    return [with_kernels(label), f"{measured['seconds']:.2f} s", *shares]


def _range(values: Sequence[float]) -> str:
    least, most = min(values), max(values)
    return f"{least:.2f}" if least == most else f"{least:.2f} to {most:.2f}"


def _models_beside_lstm(beside: Json) -> list[str]:
    labels = {label for result in beside["results"].values() for label in result["parameters"]}
    return [AGALITE, *sorted(label for label in labels if not label.startswith(("LSTM", AGALITE)))]


def _alternating(beside: Json, model: str) -> Iterator[tuple[str, str, float, float]]:
    """Go through the cases of each size, each with kernels and then without."""
    for size, result in beside["results"].items():
        one = {"results": {size: result}}
        for pair in zip(lstm_ratios(one, True, model), lstm_ratios(one, False, model), strict=True):
            yield from pair


def _growth_ratios(cost: Json | None, key: str) -> dict[str, float]:
    growth: Mapping[str, Any] = cost["growth"]["models"] if cost else {}
    if not growth:
        return {}
    return {f"{int(c):,} steps": value / growth[GROWING][key][c] for c, value in growth[AGALITE][key].items()}
