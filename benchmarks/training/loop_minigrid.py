"""Where the seconds of training go on a MiniGrid task: MemoryS7, PPO, AGaLiTe with and without its kernels.

    python -m rllib_recattn.models.kernels.build; python -m benchmarks.training.loop_minigrid

The settings are those of tuned_examples/minigrid-memory-s7-agalite-ppo.yaml. Both algorithms are built in one process
with one thread, and take turns to train for an iteration of 4,096 steps. A part's seconds are its own, without those of
the parts inside it, and are medians over iterations. Writes loop_minigrid.json.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from benchmarks.machine import machine
from benchmarks.plain import PLAIN
from benchmarks.training.loop import ITERATIONS, KERNELS, PYTORCH, medians, train_in_turns
from benchmarks.training_runs import experiment_of
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.models.kernels import library

OUT = Path(__file__).with_suffix(".json")
EXAMPLE = "minigrid-memory-s7-agalite-ppo"


def main() -> None:
    torch.set_num_threads(1)
    if library.kernels() is None:
        raise SystemExit("the kernels are not built: python -m rllib_recattn.models.kernels.build")
    experiment = experiment_of(EXAMPLE, {"model": PLAIN})
    algorithms = {name: build_config(experiment).build_algo() for name in (KERNELS, PYTORCH)}
    rounds = train_in_turns(algorithms)
    results = {}
    for name, algorithm in algorithms.items():
        of_parts = medians(rounds[name])
        parts = of_parts["seconds_by_part"]
        shares = {part: round(seconds / sum(parts.values()), 3) for part, seconds in parts.items()}
        results[name] = {**of_parts, "share_by_part": shares}
        algorithm.stop()
    report = {
        "command": "python -m rllib_recattn.models.kernels.build; python -m benchmarks.training.loop_minigrid",
        "machine": {"threads": 1, **machine("rllib-recattn", "ray", "torch", "numpy", "minigrid")},
        "example": EXAMPLE,
        "env_steps_per_iteration": experiment.config["train_batch_size_per_learner"],
        "iterations": ITERATIONS,
        "results": results,
    }
    OUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
