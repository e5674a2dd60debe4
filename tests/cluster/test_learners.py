"""Learners on several nodes."""

import json
import os
import subprocess
import sys
import tempfile

import pytest

from tests.cluster.hosts import PACKAGE

EXPERIMENT = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: agalite, max_seq_len: 7, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4}
  config:
    env_config: {corridor_length: 60}
    num_env_runners: 0
    num_envs_per_env_runner: 1
    num_learners: 2
    num_cpus_per_learner: 1
    custom_resources_per_learner: {learner: 1}
    train_batch_size_per_learner: 64
    minibatch_size: 32
    num_epochs: 2
    seed: 0
"""


@pytest.mark.slow
def test_learners_on_two_nodes_stay_equal_and_get_the_states_that_acting_had(tmp_path):
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as ray_directory:
        environment = {**os.environ, "RAY_TMPDIR": ray_directory, "PYTHONPATH": str(PACKAGE.parent)}
        command = [sys.executable, "-m", "tests.cluster.two_learners", str(tmp_path / "x.yaml")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PACKAGE.parent, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(set(found["nodes"])) == 2
    assert found["equal"]
    assert found["changed"]
    assert min(found["steps"]) > 0.7 * max(found["steps"])
    assert found["cut"] > 0
    assert found["continued_rows"] > 0
    assert found["largest_state"] > 0.01
    assert max(found["largest_error_of_a_state"]) < 1e-4
