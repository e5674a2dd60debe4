"""How soon does an agent solve T-Maze: AGaLiTe beside RLlib's own LSTM, three seeds each, same PPO settings.

    python -m benchmarks.tmaze.learning

For each corridor length and seed the two agents train at the same time, each in a process of its own with one
thread, so that whatever else the machine does slows both. Writes learning.json, and a figure for each length.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.measures import summarise
from benchmarks.plain import PLAIN
from benchmarks.training_runs import draw, report, train_side_by_side

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
# Corridor length → the examples to compare.
TASKS = {
    20: {"AGaLiTe": "tmaze-agalite-ppo", "RLlib's LSTM": "tmaze-lstm-ppo"},
    60: {"AGaLiTe": "tmaze-60-agalite-ppo", "RLlib's LSTM": "tmaze-60-lstm-ppo"},
}
# As it was when this was measured: plain, and what there is to see goes to it as it is.
CHANGES = {"AGaLiTe": {"model": {**PLAIN, "encoder": {"type": "auto", "widths": []}}}}
COLOURS = {"AGaLiTe": "#0f766e", "RLlib's LSTM": "#c2410c"}


def main() -> None:
    lengths = [int(argument) for argument in sys.argv[1:]] or list(TASKS)
    path = HERE / "learning.json"
    tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"] if path.exists() else {}
    for length in lengths:
        runs: dict[str, list[dict[str, Any]]] = {model: [] for model in TASKS[length]}
        for seed in SEEDS:
            for model, run in train_side_by_side(TASKS[length], seed, CHANGES).items():
                runs[model].append(run)
                print(f"L = {length}, {report(model, run)}", flush=True)
            # Written after each seed: the whole takes three quarters of an hour.
            summary = {model: summarise(model_runs) for model, model_runs in runs.items()}
            tasks[str(length)] = {"summary": summary, "runs": runs}
            result = {
                "command": "python -m benchmarks.tmaze.learning",
                "machine": {"threads_per_run": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
                "tasks": tasks,
            }
            path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            title = f"T-Maze, corridor of {length} cells, PPO, three seeds each"
            draw(runs, COLOURS, title, HERE / f"learning-{length}.png")
        print(json.dumps(summary, indent=1, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
