"""How soon does a model learn to recall: supervised, in seconds, where a training by PPO takes minutes.

    python -m benchmarks.memory.probe [variant …]

Two tasks, on plain models with a linear layer behind them. "bit": the observations of a T-Maze whose agent walks
straight to the junction; the last output must tell the cue of the first. "repeat": a sequence of four symbols; every
output must tell the symbol of three steps before. Writes probe.json beside this file: the updates of Adam until 19 of
20 answers are right, for three seeds. Variants that are there already are not repeated unless they are named.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import rllib_recattn as ra
from benchmarks.machine import machine
from benchmarks.memory.plan import ABLATIONS, MODELS
from rllib_recattn.envs.tmaze_task import TMazeObserver, draw_cues, draw_episode_key

RESULT = Path(__file__).with_suffix(".json")
SEEDS = (0, 1, 2)
N_ROWS, LEARNING_RATE, MAX_UPDATES, RIGHT = 16, 1e-3, 400, 0.95
N_SYMBOLS, LAG = 4, 3

# A batch: inputs [B, T, D_in], and what the outputs of the last T' steps should tell [B, T'].
Batch = tuple[Tensor, Tensor]


def bit_batch(length: int, generator: np.random.Generator) -> Batch:
    """Observations of T-Mazes with `length` cells, and their cues."""
    observer = TMazeObserver(length, n_distractors=6)
    keys = np.array([draw_episode_key(generator) for _ in range(N_ROWS)])
    cues = draw_cues(keys)
    places = np.arange(length)
    rows = [
        observer(np.repeat(cue, length), places, np.repeat(key, length), places)
        for cue, key in zip(cues, keys, strict=True)
    ]
    return torch.from_numpy(np.stack(rows)), torch.from_numpy(cues)[:, None]


def repeat_batch(length: int, generator: np.random.Generator) -> Batch:
    """Sequences of symbols, and those of LAG steps before."""
    symbols = torch.from_numpy(generator.integers(N_SYMBOLS, size=(N_ROWS, length)))
    return nn.functional.one_hot(symbols, N_SYMBOLS).float(), symbols[:, :-LAG]


# Name → what makes a batch, its length, the number of classes.
TASKS: dict[str, tuple[Callable[[int, np.random.Generator], Batch], int, int]] = {
    "bit, 40 steps": (bit_batch, 40, 2),
    "bit, 160 steps": (bit_batch, 160, 2),
    "repeat, 20 steps": (repeat_batch, 20, N_SYMBOLS),
}
VARIANTS: dict[str, dict[str, Any]] = {
    **{model: {**block, **({"memory_length": 160} if model == "gtrxl-128" else {})} for model, block in MODELS.items()},
    **{f"agalite-{name}": MODELS["agalite"] | change for name, change in ABLATIONS.items()},
}
VARIANTS["gtrxl-160"] = VARIANTS.pop("gtrxl-128")


def main() -> None:
    torch.set_num_threads(1)
    found = json.loads(RESULT.read_text(encoding="utf-8"))["variants"] if RESULT.exists() else {}
    for variant, block in VARIANTS.items():
        for task in TASKS:
            if (variant in sys.argv[1:]) if len(sys.argv) > 1 else task not in found.get(variant, {}):
                found.setdefault(variant, {})[task] = [learn(block, task, seed) for seed in SEEDS]
                print(variant, task, [outcome["updates"] for outcome in found[variant][task]], flush=True)
                write(found)


def learn(block: dict[str, Any], task: str, seed: int) -> dict[str, Any]:
    """Train a model from scratch; `updates` is None where MAX_UPDATES of them are not enough."""
    make_batch, length, n_classes = TASKS[task]
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    settings = {key: value for key, value in block.items() if key != "name"}
    model = ra.build_model(block["name"], input_dim=make_batch(length, generator)[0].shape[-1], **settings)
    head = nn.Linear(model.output_dim, n_classes)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=LEARNING_RATE)
    right, updates, start = 1 / n_classes, 0, time.process_time()
    while right <= RIGHT and updates < MAX_UPDATES:
        x, answers = make_batch(length, generator)
        y, _ = model(x, model.initial_state(N_ROWS))
        logits = head(y[:, -answers.shape[1] :])
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        right = 0.9 * right + 0.1 * (logits.argmax(-1) == answers).float().mean().item()
        updates += 1
    outcome = {"updates": updates if right > RIGHT else None, "right": round(right, 3)}
    return {**outcome, "cpu_seconds": round(time.process_time() - start, 1)}


def write(variants: dict[str, Any]) -> None:
    """Write the result, in the order of `VARIANTS`."""
    result = {
        "command": "python -m benchmarks.memory.probe",
        "machine": {"threads": 1, **machine("rllib-recattn", "torch", "numpy")},
        "settings": {"rows": N_ROWS, "lr": LEARNING_RATE, "max_updates": MAX_UPDATES, "right": RIGHT, "seeds": SEEDS},
        "variants": {name: {"model": block, **variants[name]} for name, block in VARIANTS.items() if name in variants},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
