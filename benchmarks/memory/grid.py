"""Does it remember longer: every model of the catalog on T-Mazes of 20 to 160 cells, and what AGaLiTe owes its parts.

    python -m benchmarks.memory.grid [--list] [--stage search grid …] [--models agalite …] [--lengths 20 …]

Trains one run after the other, each in a process of its own with one thread, in the order of
benchmarks/memory/plan.py: first a search for the learning rate of each model, the same for all, then the corridors from
the shortest on, then more seeds where something is claimed, then the learning rates that were not chosen, on a long
corridor, then ablations. Each result is a JSON file of its own in runs/ beside this file, written as the run ends. Runs
that are there already are not repeated, so that what was interrupted goes on with the same command.
``python -m benchmarks.results`` makes tables and figures of them.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
from pathlib import Path

from benchmarks.measures import last_20
from benchmarks.memory.plan import LEARNING_RATES, SEARCH_LENGTH, SEARCH_SEED, Run, all_runs
from benchmarks.single_runs import train_and_write

RESULTS = Path(__file__).parent / "runs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="list the runs that are missing, and train none")
    parser.add_argument("--stage", nargs="+", choices=["search", "grid", "rate", "ablation"])
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--lengths", nargs="+", type=int)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--nice", type=int, default=0, help="how far to stand back behind other programs, up to 19")
    arguments = parser.parse_args()
    for run in all_runs():
        chosen = (
            (arguments.stage is None or run.stage in arguments.stage)
            and (arguments.models is None or run.model in arguments.models)
            and (arguments.lengths is None or run.length in arguments.lengths)
        )
        # What is there is looked up now, not at the start, so that two of these can share the work.
        if not chosen or path_of(run, arguments.results).exists():
            continue
        try:
            best = None if run.stage == "search" else best_learning_rate(run.tuned_as, arguments.results)
        except FileNotFoundError as error:
            skipped = f"{run.name}: skipped, for its learning rate {error.filename} is missing"
            print(run.name if arguments.list else skipped, flush=True)
            continue
        if run.stage == "rate" and run.lr == best:
            continue  # it is in the grid
        if arguments.list:
            print(run.name)
        else:
            train(run, run.lr or best, arguments.results, arguments.nice)


def train(run: Run, lr: float, results: Path, niceness: int) -> None:
    """Train a run in a process of its own, and write its result once it has ended."""
    said = {
        "command": f"python -m benchmarks.memory.grid --stage {run.stage} --models {run.model} --lengths {run.length}",
        "stage": run.stage,
        "model": run.model,
        "length": run.length,
        "lr": lr,
    }
    name = f"{run.name}, lr {lr:g}"
    train_and_write(name, functools.partial(run.experiment, lr), run.seed, said, path_of(run, results), niceness)


def path_of(run: Run, results: Path) -> Path:
    """Where a run's result belongs."""
    return results / f"{run.name}.json"


def best_learning_rate(model: str, results: Path) -> float:
    """Return the learning rate of the search that solved the task first; if none did, that of the highest last 20.

    Raises:
        FileNotFoundError: If a run of the search is missing.
    """
    found = []
    for lr in LEARNING_RATES:
        path = path_of(Run("search", model, SEARCH_LENGTH, SEARCH_SEED, lr), results)
        run = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            (not run["solved"], run["env_steps"] if run["solved"] else -(last_20([run], "success_rate") or 0.0), lr)
        )
    return min(found)[-1]


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
