"""When GTrXL's window is shorter than what there is to remember: MiniWorld's MemoryTMaze, twice as long as usual.

    python -m benchmarks.envs.short_window [--models agalite gtrxl-4 …] [--seeds 0 1 …] [--at-once 1]

From the last look at the cue to the junction are some 14 steps. GTrXL with two layers sees twice `memory_length` steps
back: 8 with a memory of 4, which is too short, 64 with 32, which is ample. All else is as in
tuned_examples/miniworld-memory-tmaze-<model>-ppo.yaml. Writes learning/miniworld-memory-tmaze-long.json and .png beside
this file; runs that are there already are not repeated.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.envs.learning import COLOURS, HERE, runs_of, write_runs
from benchmarks.training_runs import report, train_side_by_side

TASK, NAME = "miniworld-memory-tmaze", "miniworld-memory-tmaze-long"
LONGER = {"corridor_length": 8.4, "max_steps": 300}
# Name → the example's model, and what is changed in it.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "agalite": ("agalite", {}),
    "gtrxl-4": ("gtrxl", {"memory_length": 4}),
    "gtrxl-32": ("gtrxl", {"memory_length": 32}),
    "lstm": ("lstm", {}),
}
_COLOURS = {**{name: COLOURS[model] for name, (model, _) in MODELS.items()}, "gtrxl-4": "#db2777"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--at-once", type=int, default=1, help="runs that are trained at the same time")
    arguments = parser.parse_args()

    path = HERE / f"{NAME}.json"
    for seed in arguments.seeds:
        missing = [model for model in arguments.models if str(seed) not in runs_of(path).get(model, {})]
        for first in range(0, len(missing), arguments.at_once):
            models = missing[first : first + arguments.at_once]
            examples = {model: f"{TASK}-{MODELS[model][0]}-ppo" for model in models}
            changes = {model: {"env_config": LONGER, "model": MODELS[model][1]} for model in models}
            trained = train_side_by_side(examples, seed, changes)
            runs = runs_of(path)
            for model, run in trained.items():
                runs.setdefault(model, {})[str(seed)] = run
                print(report(model, run), flush=True)
            ordered = {model: runs[model] for model in MODELS if model in runs}
            write_runs(path, "python -m benchmarks.envs.short_window", f"{NAME}, PPO", ordered, _COLOURS)


if __name__ == "__main__":
    main()
