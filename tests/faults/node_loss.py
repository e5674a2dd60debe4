"""Trains on a cluster whose nodes are lost, and writes what came of it as JSON. Run as a program of its own.

Ray serves one cluster a process, and the tests' process has one already.

Usage: ``python -m tests.faults.node_loss runners|learner DIRECTORY``
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from rllib_recattn.experiment.training.progress.report import FaultReport
from tests.faults.experiments import results, run
from tests.programs import OUTCOME_FILE
from tests.quick_rllib import start_workers_as_forks

LIMIT_S = 45  # a node that joins has its EnvRunners after some 15 s on a machine that is not busy


def after_each_result(act: Callable[[dict[str, Any]], None]) -> None:
    """Have something done in the main thread, where nodes may be added, after each iteration's result."""
    report = FaultReport.on_trial_result

    def on_trial_result(self: FaultReport, *, result: dict[str, Any], **info: Any) -> None:
        report(self, result=result, **info)
        act(result)

    FaultReport.on_trial_result = on_trial_result  # type: ignore[method-assign]


def lose_runners(cluster: Cluster, directory: Path) -> dict[str, Any]:
    """The node of both EnvRunners is lost and replaced; the one that replaces it is lost for good."""
    runners = {"num_cpus": 2, "resources": {"runner": 2}}
    nodes = [cluster.add_node(**runners)]
    seen: dict[str, Any] = {"came_back": 0}

    def act(result: dict[str, Any]) -> None:
        steps = result.get("num_env_steps_sampled_lifetime") or 0
        seen["came_back"] += sum("started again" in fault for fault in result.get("faults", ()))
        if result["training_iteration"] == 3:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            nodes.append(cluster.add_node(**runners))
            seen["steps_when_lost"] = steps
        elif seen["came_back"] == 2 and nodes and steps > seen["steps_when_lost"]:
            seen["steps_after"] = steps
            cluster.remove_node(nodes.pop(), allow_graceful=False)

    after_each_result(act)
    config = {
        "num_env_runners": 2,
        "num_cpus_per_env_runner": 1,
        "custom_resources_per_env_runner": {"runner": 1},
        "env_runner_restore_timeout_s": LIMIT_S,
        "env_runner_health_probe_timeout_s": 2,
        "sample_timeout_s": 10,
    }
    return {**outcome(directory, config=config, stop={"training_iteration": 100000}), **seen}


def lose_the_learner(cluster: Cluster, directory: Path) -> dict[str, Any]:
    """The node of the learner is lost and replaced."""
    learner = {"num_cpus": 1, "resources": {"learner": 1}}
    nodes = [cluster.add_node(**learner)]

    def act(result: dict[str, Any]) -> None:
        if result["training_iteration"] == 3 and len(nodes) == 1:
            cluster.remove_node(nodes[0], allow_graceful=False)
            nodes.append(cluster.add_node(**learner))

    after_each_result(act)
    config = {
        "num_env_runners": 0,
        "num_learners": 1,
        "num_cpus_per_learner": 1,
        "custom_resources_per_learner": {"learner": 1},
    }
    return outcome(directory, config=config, stop={"training_iteration": 6}, max_failures=1)


def outcome(directory: Path, **changes: Any) -> dict[str, Any]:
    """Run the experiment, and say how it ended."""
    with redirect_stdout(io.StringIO()) as output:
        result = run(directory, **changes)
    keys = ("training_iteration", "num_env_steps_sampled_lifetime", "iterations_since_restore")
    return {
        "status": result.status,
        "output": output.getvalue(),
        "results": [{key: each.get(key) for key in keys} for each in results(result.run_dir)],
    }


if __name__ == "__main__":
    start_workers_as_forks()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        lose = {"runners": lose_runners, "learner": lose_the_learner}[sys.argv[1]]
        directory = Path(sys.argv[2])
        (directory / OUTCOME_FILE).write_text(json.dumps(lose(cluster, directory)))
    finally:
        ray.shutdown()
        cluster.shutdown()
