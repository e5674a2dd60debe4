"""Learners on several nodes."""

import pytest

from tests.programs import run_program

EXPERIMENT = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model:
    {name: agalite, encoder: {type: auto, widths: []}, max_seq_len: 7, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4}
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
    found = run_program("tests.cluster.two_learners", tmp_path, tmp_path / "x.yaml")
    assert len(set(found["nodes"])) == 2
    assert found["equal"]
    assert found["changed"]
    assert min(found["steps"]) > 0.7 * max(found["steps"])
    assert found["cut"] > 0
    assert found["continued_rows"] > 0
    assert found["largest_state"] > 0.01
    assert max(found["largest_error_of_a_state"]) < 1e-4
