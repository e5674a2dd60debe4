"""Memory Gym, POPGym and Memory Maze in RLlib: EnvRunners that are processes of their own, and YAML."""

import pytest

from rllib_recattn.errors import SettingsError
from tests.envs.training import CNN, load, train_once


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("env", "env_config", "encoder"),
    [
        ("rllib_recattn/MysteryPathGrid-v0", "{max_steps: 8}", CNN),
        ("popgym-LabyrinthExploreEasy-v0", "{}", "auto"),
        ("rllib_recattn/MemoryMaze-9x9-v0", "{camera_resolution: 16}", CNN),
    ],
)
def test_two_runners_with_four_environments_each(ray_session, tmp_path, env, env_config, encoder, mode):
    episodes = train_once(load(tmp_path, env, env_config, num_env_runners=2, mode=mode, encoder=encoder))
    assert "max_steps" not in env_config or episodes["episode_len_mean"] <= 8


@pytest.mark.parametrize(
    ("env", "encoder"),
    [
        ("popgym:popgym-AutoencodeEasy-v0", "auto"),  # a Tuple
        ("popgym-BattleshipEasy-v0", "auto"),  # MultiDiscrete actions
        ("popgym-PositionOnlyPendulumEasy-v0", "mlp"),  # a Box of actions
        ("rllib_recattn/MortarMayhemBGrid-v0", CNN),  # a Dict with a picture
    ],
)
def test_spaces_of_all_kinds_train(ray_session, tmp_path, env, encoder):
    train_once(load(tmp_path, env, encoder=encoder))


@pytest.mark.parametrize("env", ["popgym-RepeatPreviousEasy-v0", "popgym:popgym-RepeatPreviousEasy-v0"])
def test_popgyms_own_names_are_made_ready(tmp_path, env):
    experiment = load(tmp_path, env)
    assert experiment.env == "rllib_recattn/POPGym-v0"
    assert experiment.config["env_config"] == {"task": "popgym-RepeatPreviousEasy-v0"}


@pytest.mark.parametrize(
    ("env", "env_config", "problem"),
    [
        ("popgym-RepeatPreviosEasy-v0", "{}", "did you mean 'popgym-RepeatPreviousEasy-v0'"),
        ("rllib_recattn/MysteryPathGrid-v0", "{show_gaol: true}", "'show_gaol': did you mean 'show_goal'"),
        ("rllib_recattn/MemoryMaze-9x9-v0", "{camera: 3}", "has no setting 'camera': "),
    ],
)
def test_wrong_names_and_settings_are_refused(tmp_path, env, env_config, problem):
    with pytest.raises(SettingsError) as error:
        load(tmp_path, env, env_config)
    assert problem in str(error.value)
