"""MiniGrid in RLlib: EnvRunners that are processes of their own, and YAML under MiniGrid's own names."""

import pytest

from rllib_recattn.errors import SettingsError
from tests.envs.training import load, train_once


@pytest.mark.parametrize(
    ("env", "mode"),
    [
        pytest.param("rllib_recattn/MiniGrid-MemoryS7-v0", "sync", marks=pytest.mark.slow),
        ("minigrid:MiniGrid-MemoryS7-v0", "async"),
    ],
)
def test_two_runners_with_four_environments_each(ray_session, tmp_path, env, mode):
    episodes = train_once(load(tmp_path, env, "{max_steps: 8}", num_env_runners=2, mode=mode, encoder="mlp"))
    assert episodes["episode_len_mean"] <= 8


@pytest.mark.parametrize(
    ("env", "env_config", "encoder"),
    [
        ("MiniGrid-PutNear-6x6-N2-v0", "{}", "mlp"),
        ("MiniGrid-PutNear-6x6-N2-v0", "{observation: rgb, direction: true}", "cnn"),
        ("rllib_recattn/MiniGrid-MemoryS7-RGB-v0", "{}", "auto"),
    ],
)
def test_missions_and_pictures_train(ray_session, tmp_path, env, env_config, encoder):
    train_once(load(tmp_path, env, env_config, encoder=encoder))


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
