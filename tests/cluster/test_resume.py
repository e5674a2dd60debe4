"""``--resume`` on a cluster: after Ctrl-C, after SIGKILL, and when the cluster itself was started again."""

import itertools

import pytest

from tests.programs import run_program

EXPERIMENT = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 8}
  model: {name: gru, max_seq_len: 8, d_model: 8}
  checkpoint: {frequency: 1, num_to_keep: 2}
  config:
    env_config: {corridor_length: 5}
    num_env_runners: 1
    num_envs_per_env_runner: 2
    train_batch_size_per_learner: 64
    minibatch_size: 32
    num_epochs: 1
"""


@pytest.mark.slow
def test_a_run_goes_on_after_an_interrupt_a_kill_and_the_loss_of_the_cluster(tmp_path):
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    outcome = run_program("tests.cluster.resumed", tmp_path, tmp_path / "x.yaml", tmp_path / "results")
    assert outcome["interrupted"]["exit_code"] == 130, outcome["interrupted"]["output"]
    assert "--ray-address" in outcome["interrupted"]["output"].partition("Resume with:")[2]
    assert outcome["killed"]["exit_code"] == -9, outcome["killed"]["output"]
    assert "Resuming " in outcome["killed"]["output"]
    assert outcome["finished"]["exit_code"] == 0, outcome["finished"]["output"]
    iterations = outcome["finished"]["iterations"]
    assert iterations[-1] == 8
    assert all(after <= before + 1 for before, after in itertools.pairwise(iterations)), "a gap"
    assert iterations.count(1) == 1, "it began again"
