"""What an acting step costs by context: AGaLiTe beside GTrXL with a memory of M = 64 … 4,096 steps.

    python -m rllib_recattn.models.kernels.build; python -m benchmarks.models.context

A step of AGaLiTe costs the same whatever it has lived through; a GTrXL that is to see the last M steps pays for M, and
the same whether they have been or not. Both are measured with the kernels in C++ that the first command builds, which
serve GTrXL's gates as well, and with PyTorch's operations alone. All take turns within each round on one thread, and
are measured in CPU time, which other load disturbs little. Figures are medians over rounds. Writes context.json.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.machine import machine
from benchmarks.models.beside_lstm import SIZES
from benchmarks.models.cost import in_turns, lived
from benchmarks.models.sizes import INPUT_DIM
from benchmarks.plain import PLAIN
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.kernels import library
from rllib_recattn.models.registry import build_model

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m rllib_recattn.models.kernels.build; python -m benchmarks.models.context"
CONTEXTS = (64, 128, 256, 1024, 4096)
BATCHES = (1, 8, 32, 128)
PATHS = {"PyTorch": False, "kernels": True}
ROUNDS, MOST_STEPS, BYTES_PER_ROUND = 15, 16, 2**28


def models(size: str) -> dict[str, SequenceModel]:
    """Return AGaLiTe, and GTrXL by M."""
    torch.manual_seed(0)
    sizes = SIZES[size]
    gtrxl = {f"GTrXL, M = {m}": build_model("gtrxl", input_dim=INPUT_DIM, memory_length=m, **sizes) for m in CONTEXTS}
    return {"AGaLiTe": build_model("agalite", input_dim=INPUT_DIM, **sizes, **PLAIN), **gtrxl}


def full_state(model: SequenceModel, batch: int) -> torch.Tensor:
    """Return the states of agents whose memories are full, of GTrXLs with normal numbers, as its inputs there are."""
    if "count" not in model.state_layout.parts:
        return lived(model, batch, 300)
    state = torch.randn(batch, model.state_size)
    model.state_layout.unpack(state)["count"].fill_(model.memory_length)
    return state


def acting(model: SequenceModel, state: torch.Tensor, with_kernels: bool) -> Callable[[], float]:
    """Return a measure of the CPU seconds of a step without gradients, of several at a time where they are short."""
    x = torch.randn(len(state), 1, INPUT_DIM)
    n_steps = max(1, min(MOST_STEPS, BYTES_PER_ROUND // (4 * state.numel())))

    def measure() -> float:
        now = state
        switch = nullcontext() if with_kernels else mock.patch.object(library, "kernels", return_value=None)
        with torch.inference_mode(), switch:
            start = time.process_time()
            for _ in range(n_steps):
                _, now = model(x, now)
            return (time.process_time() - start) / n_steps

    return measure


def measure(size: str) -> dict[str, Any]:
    contenders = models(size)
    result: dict[str, Any] = {
        "state_bytes": {name: 4 * model.state_size for name, model in contenders.items()},
        "acting_ms": {path: {} for path in PATHS},
    }
    for batch in BATCHES:
        states = {name: full_state(model, batch) for name, model in contenders.items()}
        measures = {
            (path, name): acting(model, states[name], with_kernels)
            for path, with_kernels in PATHS.items()
            for name, model in contenders.items()
        }
        seconds = in_turns(measures, ROUNDS)
        for path in PATHS:
            result["acting_ms"][path][f"B={batch}"] = {name: round(1e3 * seconds[path, name], 4) for name in contenders}
        print(f"{size}, B = {batch}", flush=True)
    reference = result["state_bytes"]["AGaLiTe"]
    result["AGaLiTe of GTrXL's"] = {
        "state_bytes": {name: round(reference / n, 4) for name, n in result["state_bytes"].items() if n != reference},
        "acting_ms": {
            path: {
                batch: {name: round(row["AGaLiTe"] / ms, 3) for name, ms in row.items() if name != "AGaLiTe"}
                for batch, row in rows.items()
            }
            for path, rows in result["acting_ms"].items()
        },
    }
    return result


def main() -> None:
    torch.set_num_threads(1)
    if library.kernels() is None:
        raise SystemExit("the kernels are not built: python -m rllib_recattn.models.kernels.build")
    results = {size: measure(size) for size in SIZES}
    report = {"command": COMMAND, "threads": 1, "machine": machine("rllib-recattn", "torch"), "results": results}
    RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for size, result in results.items():
        print(size, json.dumps(result["AGaLiTe of GTrXL's"], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
