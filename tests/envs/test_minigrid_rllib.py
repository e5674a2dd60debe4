"""MiniGrid in RLlib: EnvRunners that are processes of their own, and YAML under MiniGrid's own names."""

import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment

EXPERIMENT = """
memory:
  run: PPO
  env: {env}
  stop: {{training_iteration: 1}}
  model: {{name: lstm, max_seq_len: 8, d_model: 16, encoder: {encoder}}}
  config:
    env_config: {env_config}
    num_env_runners: {num_env_runners}
    num_envs_per_env_runner: 4
    gym_env_vectorize_mode: {mode}
    restart_failed_env_runners: false
    train_batch_size_per_learner: 128
    minibatch_size: 64
    num_epochs: 1
"""


def load(directory, env, env_config="{}", num_env_runners=0, mode="sync", encoder="mlp"):
    file = directory / "experiment.yaml"
    file.write_text(
        EXPERIMENT.format(env=env, env_config=env_config, num_env_runners=num_env_runners, mode=mode, encoder=encoder)
    )
    return load_experiment(file)


def train_once(experiment):
    algorithm = build_config(experiment).build_algo()
    try:
        return algorithm.train()
    finally:
        algorithm.stop()


@pytest.mark.parametrize(
    ("env", "mode"),
    [
        ("rllib_recattn/MiniGrid-MemoryS7-v0", "sync"),
        ("minigrid:MiniGrid-MemoryS7-v0", "async"),
    ],
)
def test_two_runners_with_four_environments_each(ray_session, tmp_path, env, mode):
    experiment = load(tmp_path, env, "{max_steps: 8}", num_env_runners=2, mode=mode)
    result = train_once(experiment)
    assert result["env_runners"]["num_env_steps_sampled"] >= 128
    assert result["env_runners"]["episode_len_mean"] <= 8
    assert result["learners"][DEFAULT_MODULE_ID]["num_module_steps_trained"] >= 128


@pytest.mark.parametrize(
    ("env", "env_config", "encoder"),
    [
        ("MiniGrid-PutNear-6x6-N2-v0", "{}", "mlp"),
        ("MiniGrid-PutNear-6x6-N2-v0", "{observation: rgb, direction: true}", "cnn"),
        ("rllib_recattn/MiniGrid-MemoryS7-RGB-v0", "{}", "auto"),
    ],
)
def test_missions_and_pictures_train(ray_session, tmp_path, env, env_config, encoder):
    result = train_once(load(tmp_path, env, env_config, encoder=encoder))
    assert result["learners"][DEFAULT_MODULE_ID]["num_module_steps_trained"] >= 128


@pytest.mark.parametrize("env", ["MiniGrid-MemoryS7-v0", "minigrid:MiniGrid-MemoryS7-v0"])
def test_minigrids_own_names_are_made_ready(tmp_path, env):
    experiment = load(tmp_path, env, "{max_steps: 9}")
    assert experiment.env == "rllib_recattn/MiniGrid-v0"
    assert experiment.config["env_config"] == {"task": "MiniGrid-MemoryS7-v0", "max_steps": 9}
    assert [note for note in experiment.notes if f"{env!r} is made ready for networks" in note]


@pytest.mark.parametrize(
    ("env", "env_config", "problem"),
    [
        ("MiniGrid-MemoryS8-v0", "{}", "task = 'MiniGrid-MemoryS8-v0': did you mean 'MiniGrid-Memory"),
        ("MiniGrid-MemoryS7-v0", "{observations: rgb}", "has no setting 'observations': did you mean 'observation' or"),
        ("MiniGrid-MemoryS7-v0", "{task: MiniGrid-MemoryS9-v0}", "should be left out, the id 'MiniGrid-MemoryS7-v0'"),
    ],
)
def test_wrong_names_and_settings_are_refused(tmp_path, env, env_config, problem):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, env, env_config)
    assert problem in str(error.value)
