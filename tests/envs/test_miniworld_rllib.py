"""MiniWorld in RLlib: EnvRunners that are processes of their own, and YAML under MiniWorld's own names."""

import pytest

from rllib_recattn.errors import SettingsError
from tests.envs.training import CNN, load, train_once


@pytest.mark.slow  # that forked processes draw is a quick test of where MiniWorld draws
@pytest.mark.parametrize(
    ("env", "mode"),
    [
        ("rllib_recattn/MiniWorld-MemoryTMaze-v0", "async"),
        ("rllib_recattn/MiniWorld-MemoryTMaze-v0", "sync"),
        ("miniworld:MiniWorld-Sign-v0", "sync"),
        ("rllib_recattn/MiniWorld-RandomSign-v0", "async"),
    ],
)
def test_two_runners_with_four_environments_each(ray_session, tmp_path, env, mode):
    settings = "{max_steps: 8, obs_width: 20, obs_height: 16}"
    episodes = train_once(load(tmp_path, env, settings, num_env_runners=2, mode=mode, encoder=CNN))
    assert episodes["episode_len_mean"] <= 8


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
