"""How soon does each model solve four small tasks, with the same settings for all: PPO, three seeds.

    python -m benchmarks.which_model.learn [--list] [--models gla …] [--tasks memory_s7 …] [--seeds 0 …] [--nice 19]

Trains one run after the other, each in a process of its own with one thread, in the order of
benchmarks/which_model/plan.py. Each result is a JSON file of its own in runs/ beside this file, written as the run
ends. Runs that are there already are not repeated, so that what was interrupted goes on with the same command.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.single_runs import train_and_write
from benchmarks.which_model.plan import ABLATIONS, MODELS, SEEDS, TASKS, all_runs

RESULTS = Path(__file__).parent / "runs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*MODELS, *ABLATIONS]
    parser.add_argument("--list", action="store_true", help="list the runs that are missing, and train none")
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--nice", type=int, default=0, help="how far to stand back behind other programs, up to 19")
    arguments = parser.parse_args()
    for run in all_runs():
        path = arguments.results / f"{run.name}.json"
        chosen = run.model in arguments.models and run.task in arguments.tasks and run.seed in arguments.seeds
        # What is there is looked up now, not at the start, so that two of these can share the work.
        if not chosen or path.exists():
            continue
        if arguments.list:
            print(run.name)
            continue
        which = f"--models {run.model} --tasks {run.task} --seeds {run.seed}"
        said = {
            "command": f"python -m benchmarks.which_model.learn {which}",
            "model": run.model,
            "task": run.task,
        }
        train_and_write(run.name, run.experiment, run.seed, said, path, arguments.nice)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
