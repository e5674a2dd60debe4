"""Trains on a cluster, stops the command and the cluster itself, resumes, and writes what came of it as JSON.

Usage: ``python -m tests.cluster.resumed EXPERIMENT.yaml STORAGE_PATH``
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from rllib_recattn.experiment.records.metrics import read_results
from tests.programs import OUTCOME_FILE

_COMMAND = (sys.executable, "-c", "from rllib_recattn.cli.main import main; main()")
_POLL_S = 0.2


def start_cluster() -> Cluster:
    """Start a cluster of two nodes, of which neither alone holds the trial."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    return cluster


def train(cluster: Cluster, experiment: str, storage: Path, act: Callable[[subprocess.Popen[str]], Any]) -> Any:
    """Run the command, in a session that is interrupted by itself; resumes what there is to resume."""
    command = [*_COMMAND, "train", "file", experiment, "--storage-path", str(storage), "--ray-address", cluster.address]
    command += ["--resume"] if storage.exists() else []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        act(process)
        output, _ = process.communicate()
    return {"exit_code": process.returncode, "output": output, "iterations": iterations(storage)}


def iterations(storage: Path) -> list[int]:
    """Return the iterations that were reported, in their order."""
    runs = [path for path in storage.glob("*") if not path.is_symlink()]
    return [result["training_iteration"] for result in read_results(runs[0])] if runs else []


def after(count: int, storage: Path, number: int) -> Callable[[subprocess.Popen[str]], None]:
    """Make what sends a signal after some more iterations."""

    def act(process: subprocess.Popen[str]) -> None:
        before = len(iterations(storage))
        while process.poll() is None and len(iterations(storage)) < before + count:
            time.sleep(_POLL_S)
        process.send_signal(number)

    return act


def main() -> None:
    """Interrupt, kill, take the whole cluster away, and let the run end."""
    experiment, storage = sys.argv[1], Path(sys.argv[2])
    cluster = start_cluster()
    outcome = {
        "interrupted": train(cluster, experiment, storage, after(2, storage, signal.SIGINT)),
        "killed": train(cluster, experiment, storage, after(2, storage, signal.SIGKILL)),
    }
    cluster.shutdown()
    cluster = start_cluster()
    outcome["finished"] = train(cluster, experiment, storage, lambda process: None)
    cluster.shutdown()
    (storage.parent / OUTCOME_FILE).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
