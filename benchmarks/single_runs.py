"""Train one experiment in a process of its own, and write its result once it has ended."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training_runs import report, train_experiment

if TYPE_CHECKING:
    from rllib_recattn.experiment.definition.spec import Experiment

# Ray gives up when a busy machine has not started it within half a minute.
ATTEMPTS, PAUSE = 5, 60.0


def train_and_write(
    name: str, experiment: Callable[[], Experiment], seed: int, said: Mapping[str, Any], path: Path, niceness: int
) -> None:
    """Train, and write the result; a failure is printed and stops no other run.

    Args:
        name: What the run is called.
        experiment: Builds it; called in the other process, to which it has to be sent.
        seed: The seed.
        said: What stands in the result before all else.
        path: The file to write, once all is there.
        niceness: How far to stand back behind other programs, up to 19.
    """
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    outcome = None
    for _ in range(ATTEMPTS):
        try:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                outcome = pool.submit(_train, experiment, seed, niceness).result()
            break
        except Exception:
            traceback.print_exc()
            time.sleep(PAUSE)
    if outcome is None:
        print(f"{name}: failed", flush=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(_json({**said, "started": started, **outcome}), encoding="utf-8")
    partial.replace(path)
    print(f"{name}: {report(path.stem, outcome)}", flush=True)


def _train(build: Callable[[], Experiment], seed: int, niceness: int) -> dict[str, Any]:
    import ray

    # A cluster of its own: one that happens to run on this machine may end before the run does.
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    os.nice(niceness)  # not before: Ray's own processes must not starve
    experiment = build()
    outcome = train_experiment(experiment, seed)
    assert experiment.model is not None
    told = {"model": experiment.model.model_dump(), "config": experiment.config, "stop": experiment.stop}
    return {"experiment": told, **outcome}


def _json(result: Mapping[str, Any]) -> str:
    """Write a result with a line for each point of its curve, which comes last."""
    curve = ",\n  ".join(json.dumps(point) for point in result["curve"])
    rest = json.dumps({**result, "curve": []}, indent=1, ensure_ascii=False)
    return rest.removesuffix("[]\n}") + f"[\n  {curve}\n ]\n}}\n"
