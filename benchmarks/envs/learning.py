"""How soon do agents with memory solve the environments people know, and how far does one get without.

    python -m benchmarks.envs.learning minigrid-memory-s7 [--models agalite hybrid gtrxl …] [--seeds 0 1 2]

For each seed, trains tuned_examples/<task>-<model>-ppo.yaml of all models, at most as many at a time as the machine has
cores, each in a process of its own with one thread; `memoryless` is AGaLiTe's example with as many blocks that do not
remember in the place of the model. Writes learning/<task>.json and learning/<task>.png beside this file. Runs that are
there already, of models or seeds not named, are kept.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.measures import summarise
from benchmarks.palette import COLOURS as PALETTE
from benchmarks.training_runs import draw, has_example, report, train_side_by_side

HERE = Path(__file__).parent / "learning"
COLOURS = {
    **{name.lower(): PALETTE[name] for name in ("AGaLiTe", "Hybrid", "GTrXL", "LSTM")},
    "memoryless": "#64748b",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", help="the beginning of the tuned examples' names")
    parser.add_argument("--models", nargs="+", choices=COLOURS, help="default: all that have an example")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--algorithm", default="ppo", help="the end of the tuned examples' names")
    arguments = parser.parse_args()

    name = arguments.task if arguments.algorithm == "ppo" else f"{arguments.task}-{arguments.algorithm}"
    path = HERE / f"{name}.json"
    runs = runs_of(path)
    at_once = os.cpu_count() or 1
    chosen = arguments.models or [m for m in COLOURS if has_example(f"{arguments.task}-{m}-{arguments.algorithm}")]
    for seed in arguments.seeds:
        for first in range(0, len(chosen), at_once):
            models = chosen[first : first + at_once]
            examples = {model: f"{arguments.task}-{model}-{arguments.algorithm}" for model in models}
            for model, run in train_side_by_side(examples, seed).items():
                runs.setdefault(model, {})[str(seed)] = run
                print(report(model, run), flush=True)
            ordered = {model: runs[model] for model in COLOURS if model in runs}
            command = f"python -m benchmarks.envs.learning {arguments.task} --algorithm {arguments.algorithm}"
            write_runs(path, command, f"{arguments.task}, {arguments.algorithm.upper()}", ordered, COLOURS)


def runs_of(path: Path) -> dict[str, dict[str, Any]]:
    """Read the runs that are there already, by model and seed."""
    runs: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else {}
    return runs


def write_runs(path: Path, command: str, title: str, runs: dict[str, dict[str, Any]], colours: dict[str, str]) -> None:
    """Write the runs of each model and seed, with medians, and draw them beside."""
    by_model = {model: [of_seed[seed] for seed in sorted(of_seed, key=int)] for model, of_seed in runs.items()}
    result = {
        "command": command,
        "summary": {model: summarise(model_runs) for model, model_runs in by_model.items()},
        "runs": {
            model: dict(sorted(of_seed.items(), key=lambda item: int(item[0]))) for model, of_seed in runs.items()
        },
    }
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(by_model, colours, title, path.with_suffix(".png"), chance=None)


if __name__ == "__main__":
    main()
