"""MiniWorld in RLlib: EnvRunners that are processes of their own, and YAML under MiniWorld's own names."""

import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

EXPERIMENT = """
seeing:
  run: PPO
  env: {env}
  stop: {{training_iteration: 1}}
  model: {{name: lstm, max_seq_len: 8, d_model: 16, encoder: {{type: cnn, widths: [8, 8], output_dim: 16}}}}
  config:
    env_config: {env_config}
    num_env_runners: 2
    num_envs_per_env_runner: 4
    gym_env_vectorize_mode: {mode}
    restart_failed_env_runners: false
    train_batch_size_per_learner: 128
    minibatch_size: 64
    num_epochs: 1
"""


def load(directory, env, env_config="{}", mode="sync"):
    file = directory / "experiment.yaml"
    file.write_text(EXPERIMENT.format(env=env, env_config=env_config, mode=mode))
    return load_experiment(file)


@pytest.mark.parametrize(
    ("env", "mode"),
    [
        ("rllib_recattn/MiniWorld-MemoryTMaze-v0", "async"),
        pytest.param("rllib_recattn/MiniWorld-MemoryTMaze-v0", "sync", marks=pytest.mark.slow),
        pytest.param("miniworld:MiniWorld-Sign-v0", "sync", marks=pytest.mark.slow),
        pytest.param("rllib_recattn/MiniWorld-RandomSign-v0", "async", marks=pytest.mark.slow),
    ],
)
def test_two_runners_with_four_environments_each(ray_session, tmp_path, env, mode):
    experiment = load(tmp_path, env, "{max_steps: 8, obs_width: 20, obs_height: 16}", mode)
    algorithm = build_config(experiment).build_algo()
    try:
        result = algorithm.train()
    finally:
        algorithm.stop()
    assert result["env_runners"]["num_env_steps_sampled"] >= 128
    assert result["env_runners"]["episode_len_mean"] <= 8
    assert result["learners"][DEFAULT_MODULE_ID]["num_module_steps_trained"] >= 128


@pytest.mark.parametrize("env", ["MiniWorld-Maze-v0", "miniworld:MiniWorld-Maze-v0"])
def test_miniworlds_own_names_are_made_ready(tmp_path, env):
    experiment = load(tmp_path, env, "{max_steps: 9}")
    assert experiment.env == "rllib_recattn/MiniWorld-v0"
    assert experiment.config["env_config"] == {"task": "MiniWorld-Maze-v0", "max_steps": 9}
    assert [note for note in experiment.notes if f"{env!r} is made ready for networks" in note]


@pytest.mark.parametrize(
    ("env", "env_config", "problem"),
    [
        ("MiniWorld-Mase-v0", "{}", "task = 'MiniWorld-Mase-v0': did you mean 'MiniWorld-Maze"),
        ("MiniWorld-Maze-v0", "{obs_size: 9}", "has no setting 'obs_size': "),
        ("MiniWorld-Maze-v0", "{task: MiniWorld-Sign-v0}", "should be left out, the id 'MiniWorld-Maze-v0'"),
        ("rllib_recattn/MiniWorld-MemoryTMaze-v0", "{corridor: 9}", "'corridor': did you mean 'corridor_length'"),
    ],
)
def test_wrong_names_and_settings_are_refused(tmp_path, env, env_config, problem):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, env, env_config)
    assert problem in str(error.value)
