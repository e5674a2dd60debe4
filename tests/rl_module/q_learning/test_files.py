"""Experiment files with `run: DQN`: what is wrong is named with its place."""

from __future__ import annotations

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.rl_module.q_learning.config import BUFFER
from rllib_recattn.rl_module.q_learning.learner import RecAttnDQNLearner

FILE = """
maze:
  run: DQN
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: gru, d_model: 8, max_seq_len: 8, burn_in: 2, q_learning: {value_rescaling: true}}
  config: {env_config: {corridor_length: 5}, epsilon: [[0, 1.0], [100, 0.1]], n_step: 3}
"""


def build(tmp_path, text):
    file = tmp_path / "maze.yaml"
    file.write_text(text, encoding="utf-8")
    return build_config(load_experiment(file))


def test_a_file_builds_what_use_model_does(tmp_path):
    config = build(tmp_path, FILE)
    assert config.learner_class is RecAttnDQNLearner
    assert config.replay_buffer_config["type"] == BUFFER
    assert config.model_config["recattn_training"]["q_learning"]["value_rescaling"] is True
    assert config.epsilon == [[0, 1.0], [100, 0.1]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_step: 3", "num_atoms: 5", r"maze.yaml: maze.config: num_atoms = 5: should be 1"),
        ("n_step: 3", "replay_buffer_config: {type: ReplayBuffer}", r"maze.config: replay_buffer_config.type"),
        ("run: DQN", "run: PPO", "q_learning|epsilon|n_step"),
        ("value_rescaling", "value_scaling", "q_learning.value_scaling.*did you mean 'value_rescaling'"),
        ("burn_in: 2", "burn_in: 7", r"max_seq_len = 8: should be at least burn_in \+ 2 = 9 with DQN"),
        ("run: DQN", "run: DQN\n  api_stack: old", "DQN runs on RLlib's new API stack only"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert old in FILE
    with pytest.raises(SettingsError, match=message):
        build(tmp_path, FILE.replace(old, new))
