"""What each model costs: time of an acting step and of training, state, memory, and how they grow with context.

    python -m benchmarks.models.cost

All models take turns within each round, on one thread, and are measured in CPU time, which other load disturbs little;
a figure is the median over rounds. They compute with PyTorch's operations alone; benchmarks.models.context and
benchmarks.models.beside_lstm have figures with the optional kernels. Writes cost.json and cost.png beside this file,
and the table in the project's README.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine
from benchmarks.models.cost_report import draw, write_table
from benchmarks.models.sizes import INPUT_DIM, MODELS, build, n_parameters
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.kernels.library import SWITCH

RESULT = Path(__file__).with_suffix(".json")
ACTING_BATCHES = (1, 8, 32, 128)
TRAINING_SHAPES = ((8, 128), (32, 64))  # (B, T)
CONTEXTS = (64, 256, 1024, 4096)
ACTING_ROUNDS, STEPS_PER_ROUND = 15, 16  # RATE does more work in one step of each segment of 16
TRAINING_ROUNDS = 5
GROWTH_BATCH = 8


def in_turns(measures: dict[Any, Callable[[], float]], rounds: int) -> dict[Any, float]:
    """Call every measure once a round, after a warm-up and in an order that is drawn again; return the medians.

    The order matters: what was measured before leaves its own data in the processor's caches.
    """
    order, random_order = list(measures), random.Random(0)
    for measure in measures.values():
        measure()
    values: dict[Any, list[float]] = {key: [] for key in measures}
    for _ in range(rounds):
        random_order.shuffle(order)
        for key in order:
            values[key].append(measures[key]())
    return {key: statistics.median(seconds) for key, seconds in values.items()}


def acting(model: SequenceModel, state: torch.Tensor) -> Callable[[], float]:
    """Return a measure of the seconds of one step of a batch of agents that are in `state`, with no gradients."""
    x = torch.randn(len(state), 1, INPUT_DIM)

    def measure() -> float:
        now = state
        with torch.inference_mode():
            start = time.process_time()
            for _ in range(STEPS_PER_ROUND):
                _, now = model(x, now)
            return (time.process_time() - start) / STEPS_PER_ROUND

    return measure


def training(model: SequenceModel, batch: int, steps: int) -> Callable[[], float]:
    """Return a measure of the seconds of forward and backward, per 1,024 tokens."""
    x = torch.randn(batch, steps, INPUT_DIM)
    state = lived(model, batch, 300)

    def measure() -> float:
        model.zero_grad()
        start = time.process_time()
        y, _ = model(x, state)
        y.square().mean().backward()
        return (time.process_time() - start) * 1024 / (batch * steps)

    return measure


def lived(model: SequenceModel, batch: int, steps: int, state: torch.Tensor | None = None) -> torch.Tensor:
    """Return the state of agents that have lived for some steps more, so that memories fill."""
    state = model.initial_state(batch) if state is None else state
    with torch.inference_mode():
        for size in [64] * (steps // 64) + [steps % 64]:
            if size:
                _, state = model(torch.randn(batch, size, INPUT_DIM), state)
    return state.clone()


def peak_memory(label: str) -> int:
    """Return the bytes by which one training step at (8, 128) raises the peak memory of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.models.cost", "--peak-memory", label]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_peak_memory(label: str) -> None:
    model = build(label)
    x, state = torch.randn(8, 128, INPUT_DIM), model.initial_state(8)
    y, _ = model(x[:1, :2], state[:1])
    y.sum().backward()  # loads what PyTorch loads lazily, and allocates the gradients
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    y, _ = model(x, state)
    y.square().mean().backward()
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def measure_all() -> dict[str, Any]:
    """Measure everything that does not depend on the context."""
    models = {label: build(label) for label in MODELS}
    results: dict[str, Any] = {
        label: {
            "parameters": n_parameters(model),
            "state_bytes": 4 * model.state_size,
            "training_ms_per_1024_tokens": {},
            "training_peak_memory_bytes": peak_memory(label),
        }
        for label, model in models.items()
    }
    for label, milliseconds in measure_acting(models).items():
        results[label]["acting_ms"] = milliseconds
    for batch, steps in TRAINING_SHAPES:
        measures = {label: training(model, batch, steps) for label, model in models.items()}
        for label, seconds in in_turns(measures, TRAINING_ROUNDS).items():
            results[label]["training_ms_per_1024_tokens"][f"B={batch}, T={steps}"] = round(seconds * 1e3, 1)
        print(f"training, B = {batch}, T = {steps}", flush=True)
    return results


def measure_acting(models: dict[str, SequenceModel]) -> dict[str, dict[str, float]]:
    """Measure the milliseconds of a step, by model and batch."""
    results: dict[str, dict[str, float]] = {label: {} for label in models}
    for batch in ACTING_BATCHES:
        measures = {label: acting(model, lived(model, batch, 300)) for label, model in models.items()}
        for label, seconds in in_turns(measures, ACTING_ROUNDS).items():
            results[label][f"B={batch}"] = round(seconds * 1e3, 3)
        print(f"acting, B = {batch}", file=sys.stderr, flush=True)
    return results


def measure_acting_with_kept_memory() -> dict[str, dict[str, float]]:
    """Measure AGaLiTe and GTrXL where the allocator keeps what is freed.

    By default glibc hands large tensors back to the system, and a GTrXL's new state then costs page faults each step.
    """
    kept = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
    command = [sys.executable, "-m", "benchmarks.models.cost", "--acting"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **kept})
    return json.loads(done.stdout)


def measure_growth() -> dict[str, Any]:
    """Measure acting after 64 … 4,096 steps of an episode; a GTrXL that is to see them all needs as large an M."""
    models: dict[tuple[str, int], SequenceModel] = {}
    states: dict[tuple[str, int], torch.Tensor] = {}
    for label in (label for label in MODELS if not label.startswith("GTrXL")):
        model, state, age = build(label), None, 0
        for context in CONTEXTS:
            state = lived(model, GROWTH_BATCH, context - age, state)
            models[label, context], states[label, context], age = model, state, context
    for context in CONTEXTS:
        key = "GTrXL, M = context", context
        models[key] = build("GTrXL, M = 64", memory_length=context)
        states[key] = lived(models[key], GROWTH_BATCH, context)
    print("growth", file=sys.stderr, flush=True)
    seconds = in_turns({key: acting(models[key], states[key]) for key in models}, ACTING_ROUNDS)
    growth: dict[str, Any] = {}
    for (label, context), value in seconds.items():
        entry = growth.setdefault(label, {"acting_ms": {}, "state_bytes": {}})
        entry["acting_ms"][str(context)] = round(value * 1e3, 3)
        entry["state_bytes"][str(context)] = 4 * models[label, context].state_size
    return {"batch": GROWTH_BATCH, "models": growth}


def claims(results: dict[str, Any], kept: dict[str, Any], growth: dict[str, Any]) -> dict[str, float]:
    """Work out the ratios that the project states."""
    agalite, gtrxl, lstm = (results[label] for label in ("AGaLiTe", "GTrXL, M = 128", "LSTM"))
    usual = results["GTrXL, M = 128, keys recomputed"]
    lifetime = growth["models"]["AGaLiTe"]["acting_ms"]
    ratios = {
        f"AGaLiTe / GTrXL (M = 128), acting, {batch}": agalite["acting_ms"][batch] / gtrxl["acting_ms"][batch]
        for batch in agalite["acting_ms"]
    }
    ratios |= {
        f"AGaLiTe / GTrXL (M = 128) that recomputes its keys, acting, {batch}": milliseconds / usual["acting_ms"][batch]
        for batch, milliseconds in agalite["acting_ms"].items()
    }
    ratios |= {
        f"AGaLiTe / GTrXL (M = 128), acting, {batch}, memory kept by the allocator": milliseconds
        / kept["GTrXL, M = 128"][batch]
        for batch, milliseconds in kept["AGaLiTe"].items()
    }
    ratios["AGaLiTe / GTrXL (M = 128), state bytes"] = agalite["state_bytes"] / gtrxl["state_bytes"]
    ratios["AGaLiTe, acting after 4096 steps / after 64"] = lifetime["4096"] / lifetime["64"]
    for shape, milliseconds in agalite["training_ms_per_1024_tokens"].items():
        ratios[f"AGaLiTe / LSTM, training, {shape}"] = milliseconds / lstm["training_ms_per_1024_tokens"][shape]
        ratios[f"AGaLiTe / GTrXL (M = 128), training, {shape}"] = (
            milliseconds / gtrxl["training_ms_per_1024_tokens"][shape]
        )
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def main() -> None:
    torch.set_num_threads(1)
    os.environ[SWITCH] = "0"
    if sys.argv[1:2] == ["--peak-memory"]:
        print_peak_memory(sys.argv[2])
        return
    if sys.argv[1:2] == ["--acting"]:
        print(json.dumps(measure_acting({label: build(label) for label in ("AGaLiTe", "GTrXL, M = 128")})))
        return
    results, kept, growth = measure_all(), measure_acting_with_kept_memory(), measure_growth()
    report = {
        "command": "python -m benchmarks.models.cost",
        "threads": 1,
        "machine": machine("rllib-recattn", "torch"),
        "claims": claims(results, kept, growth),
        "models": results,
        "acting_ms_with_kept_memory": kept,
        "growth": growth,
    }
    RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(report, RESULT.with_suffix(".png"))
    write_table(report)
    print(json.dumps(report["claims"], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
