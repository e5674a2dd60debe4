"""AGaLiTe and others beside an LSTM with as many parameters: an acting step, and a learner's pass but for GTrXL.

    python -m rllib_recattn.models.kernels.build; python -m benchmarks.models.beside_lstm

Models run with the kernels in C++ that the first command builds, of GTrXL for its gates alone, and with PyTorch's
operations alone; the LSTMs are PyTorch's, one for each model. All take turns within each round on one thread, and are
measured in CPU time, which other load disturbs little. Figures are medians over rounds. The result goes to
beside_lstm.json beside this file.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.machine import machine
from benchmarks.models.cost import in_turns
from benchmarks.models.sizes import n_parameters
from benchmarks.plain import PLAIN
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.kernels import library
from rllib_recattn.models.registry import build_model

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m rllib_recattn.models.kernels.build; python -m benchmarks.models.beside_lstm"
SIZES = {
    "2 × 64": {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32},
    "4 × 128": {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_head": 64},
}
BATCHES = (1, 8, 32, 64)
SHAPES = ((20, 24), (8, 128), (32, 64))  # rows, steps; the first is a minibatch of 512 steps at T-Maze
STEPS_PER_ROUND, ACTING_ROUNDS, TRAINING_ROUNDS = 10, 31, 11
AGALITE = "AGaLiTe"
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    AGALITE: ("agalite", PLAIN),
    "GLA": ("gla", {"conv_size": 0}),
    "Gated DeltaNet": ("gated_delta_net", {}),
    "GTrXL, M = 128": ("gtrxl", {}),
}
ACTS = "GTrXL"  # and is not trained
PYTORCH = " without kernels"


def models(size: str) -> dict[str, SequenceModel]:
    """Return each model, again to be called without kernels, and its LSTM."""
    width, contenders = SIZES[size]["d_model"], {}
    for label, (name, settings) in MODELS.items():
        torch.manual_seed(0)
        model = build_model(name, input_dim=width, **SIZES[size], **settings)
        cell = next(w for w in count(1) if 4 * w * (width + w + 2) >= n_parameters(model))
        contenders |= {label: model, label + PYTORCH: model}
        contenders[lstm_of(label)] = build_model("lstm", input_dim=width, d_model=cell)
    return contenders


def lstm_of(label: str) -> str:
    """Return the label of the LSTM that a model is compared with."""
    label = label.removesuffix(PYTORCH)
    return "LSTM" if label == AGALITE else f"LSTM beside {label}"


def timed(name: str, work: Callable[[], None], repeats: int = 1) -> Callable[[], float]:
    """Return a measure of the seconds of `work`, of which there are `repeats` at a time."""

    def measure() -> float:
        start = time.process_time()
        for _ in range(repeats):
            work()
        return (time.process_time() - start) / repeats

    def without_kernels() -> float:
        with mock.patch.object(library, "kernels", return_value=None):
            return measure()

    return without_kernels if name.endswith(PYTORCH) else measure


def acting(model: SequenceModel, batch: int) -> Callable[[], None]:
    x = torch.randn(batch, 1, model.input_dim)
    states = [model.initial_state(batch)]

    def step() -> None:
        with torch.inference_mode():
            states[0] = model(x, states[0])[1]

    return step


def training(model: SequenceModel, rows: int, steps: int) -> Callable[[], None]:
    x, state = torch.randn(rows, steps, model.input_dim), model.initial_state(rows)

    def update() -> None:
        model.zero_grad()
        model(x, state)[0].square().mean().backward()

    return update


def compare(measures: dict[str, Callable[[], float]], rounds: int) -> dict:
    seconds = in_turns(measures, rounds)
    return {
        "milliseconds": {name: round(1e3 * seconds[name], 3) for name in measures},
        "of the LSTM's": {
            name: round(seconds[name] / seconds[lstm_of(name)], 2) for name in measures if not name.startswith("LSTM")
        },
    }


def measure(size: str) -> dict:
    contenders = models(size)
    parameters = {name: n_parameters(model) for name, model in contenders.items() if not name.endswith(PYTORCH)}
    result: dict = {"parameters": parameters}
    for batch in BATCHES:
        measures = {name: timed(name, acting(m, batch), STEPS_PER_ROUND) for name, m in contenders.items()}
        result[f"acting, B = {batch}"] = compare(measures, ACTING_ROUNDS)
        print(f"{size}, acting, B = {batch}", flush=True)
    trained = {
        name: model for name, model in contenders.items() if not name.removeprefix("LSTM beside ").startswith(ACTS)
    }
    for rows, steps in SHAPES:
        measures = {name: timed(name, training(m, rows, steps)) for name, m in trained.items()}
        result[f"training, B = {rows}, T = {steps}"] = compare(measures, TRAINING_ROUNDS)
    return result


def main() -> None:
    torch.set_num_threads(1)
    if library.kernels() is None:
        raise SystemExit("the kernels are not built: python -m rllib_recattn.models.kernels.build")
    results = {}
    for size in SIZES:
        results[size] = measure(size)
        print(size, json.dumps(results[size], indent=1, ensure_ascii=False), flush=True)
    report = {"command": COMMAND, "threads": 1, "machine": machine("rllib-recattn", "torch"), "results": results}
    RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
