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
import json
import os
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.measures import last_20
from benchmarks.memory.plan import LEARNING_RATES, SEARCH_LENGTH, SEARCH_SEED, Run, all_runs
from benchmarks.training_runs import report, train_experiment

RESULTS = Path(__file__).parent / "runs"
# Ray gives up when a busy machine has not started it within half a minute.
ATTEMPTS, PAUSE = 5, 60.0


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
            train_and_write(run, run.lr or best, arguments.results, arguments.nice)


def train_and_write(run: Run, lr: float, results: Path, niceness: int) -> None:
    """Train a run in a process of its own, and write its result once it has ended; a failure stops no other run."""
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    outcome = None
    for _ in range(ATTEMPTS):
        try:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                outcome = pool.submit(_train, run, lr, niceness).result()
            break
        except Exception:
            traceback.print_exc()
            time.sleep(PAUSE)
    if outcome is None:
        print(f"{run.name}: failed", flush=True)
        return
    result = {
        "command": f"python -m benchmarks.memory.grid --stage {run.stage} --models {run.model} --lengths {run.length}",
        "started": started,
        "stage": run.stage,
        "model": run.model,
        "length": run.length,
        "lr": lr,
        **outcome,
    }
    path = path_of(run, results)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(_json(result), encoding="utf-8")
    partial.replace(path)
    print(f"{run.name}, lr {lr:g}: {report(run.model, outcome)}", flush=True)


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


def _train(run: Run, lr: float, niceness: int) -> dict[str, Any]:
    import ray

    # A cluster of its own: one that happens to run on this machine may end before the run does.
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    os.nice(niceness)  # not before: Ray's own processes must not starve
    experiment = run.experiment(lr)
    outcome = train_experiment(experiment, run.seed)
    return {"experiment": _described(experiment), **outcome}


def _described(experiment: Any) -> dict[str, Any]:
    """What a run was told: the model with its settings, and RLlib's."""
    return {"model": experiment.model.model_dump(), "config": experiment.config, "stop": experiment.stop}


def _json(result: dict[str, Any]) -> str:
    """Write a result with a line for each point of its curve, which comes last."""
    curve = ",\n  ".join(json.dumps(point) for point in result["curve"])
    rest = json.dumps({**result, "curve": []}, indent=1, ensure_ascii=False)
    return rest.removesuffix("[]\n}") + f"[\n  {curve}\n ]\n}}\n"


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
