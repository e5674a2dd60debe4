"""A training on this machine listens where other machines cannot reach it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import ray

from rllib_recattn.local_ray import start_local_ray
from tests.experiment.cluster.listeners import listeners

EXPERIMENT = """
local:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 100000}
  model: {name: gru, max_seq_len: 8, d_model: 8}
  storage_path: results
  config:
    env_config: {corridor_length: 3, max_episode_steps: 12}
    num_env_runners: 1
    num_learners: LEARNERS
    train_batch_size_per_learner: 64
    minibatch_size: 32
    num_epochs: 1
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("learners", [0, 2])
def test_nothing_of_a_training_can_be_reached_from_elsewhere(tmp_path, learners):
    (tmp_path / "local.yaml").write_text(EXPERIMENT.replace("LEARNERS", str(learners)))
    program = "from rllib_recattn.cli.main import main; main()"
    command = [sys.executable, "-u", "-c", program, "train", "file", "local.yaml", "--ray-num-cpus", "4"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                if line.split()[:1] == ["2"]:  # the line of the second iteration
                    break
            found = listeners(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
    assert process.returncode == 130
    assert len(found) >= 5 + learners
    reachable = [name for address, _, name in found if not address.is_loopback]
    # PyTorch's store, through which several learners find each other; docs/cluster.md tells.
    assert [name.partition(" ")[0] for name in reachable] == ["ray::_WrappedExecutable"] * (learners > 1)


def test_what_is_set_for_rays_processes_does_not_stay(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "mine")
    seen = {}

    def init(**settings):
        from ray._private import services

        seen.update(settings, gloo=os.environ["GLOO_SOCKET_IFNAME"], address=services.get_node_ip_address())

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("ray._private.worker._global_node", None)
    start_local_ray(num_cpus=3)
    assert seen == {
        "address": "127.0.0.1",
        "include_dashboard": False,
        "num_cpus": 3,
        "_node_ip_address": "127.0.0.1",
        "gloo": "mine",
    }
    assert os.environ["GLOO_SOCKET_IFNAME"] == "mine"
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in os.environ
