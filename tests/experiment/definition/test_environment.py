import importlib.util
import sys

import gymnasium
import pytest
from ray.rllib.env.env_context import EnvContext

from rllib_recattn.envs.ready_made import with_package
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.environment import (
    check_env_config,
    env_creator,
    find_env,
    is_vectorized_with,
    probe_env,
)
from rllib_recattn.migration.old_files import old_names


@pytest.mark.parametrize(
    ("env", "id_"),
    [
        ("CartPole-v1", "CartPole-v1"),
        ("rllib_recattn/TMaze-v0", "rllib_recattn/TMaze-v0"),
        ("rllib_recattn:rllib_recattn/TMaze-v0", "rllib_recattn/TMaze-v0"),
        ("minigrid:MiniGrid-MemoryS7-v0", "MiniGrid-MemoryS7-v0"),
    ],
)
def test_registered_environments_are_found(env, id_):
    assert find_env(env, "here").id == id_


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ("CartPole", "'CartPole-v1'"),
        ("CartPole-v7", "'CartPole-v1'"),
        ("rllib_recattn:TMaze-v0", "did you mean 'rllib_recattn/TMaze-v0'?"),
        ("no_such_package:Env-v0", "the module 'no_such_package' cannot be imported: No module named"),
        ("qqqqqqqqqqqqqqqq", "or 'package:Name-v0' to import its package first"),
        ("", "unknown environment ''"),
        (":", "unknown environment ':'"),
    ],
)
def test_unknown_environments_are_refused(env, problem):
    with pytest.raises(SettingsError) as error:
        find_env(env, "here")
    assert str(error.value).startswith("here: ")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("env", "env_config"),
    [
        ("CartPole-v1", {"sutton_barto_reward": True, "max_episode_steps": 10}),
        ("rllib_recattn:rllib_recattn/TMaze-v0", {"corridor_length": 5, "max_episode_steps": 50}),
        # Its constructor passes **kwargs on.
        ("minigrid:MiniGrid-MemoryS7-v0", {"size": 9, "tile_size": 8}),
    ],
)
def test_settings_that_an_environment_takes(env, env_config):
    find_env(env, "here")
    check_env_config(env, env_config, "here")


@pytest.mark.parametrize(
    ("env", "env_config", "problem"),
    [
        ("CartPole-v1", {"sutton_reward": 1}, "has no setting 'sutton_reward': did you mean 'sutton_barto_reward'?"),
        ("rllib_recattn/TMaze-v0", {"corridor_length": "long"}, "corridor_length = 'long'"),
        ("minigrid:MiniGrid-MemoryS7-v0", {"colour": 9}, "cannot be built with these settings"),
    ],
)
def test_settings_that_an_environment_does_not_take(env, env_config, problem):
    find_env(env, "here")
    with pytest.raises(SettingsError) as error:
        check_env_config(env, env_config, "here")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_vectorized_implementation_is_used_if_it_fits():
    maze = find_env("rllib_recattn/TMaze-v0", "here")
    assert is_vectorized_with(maze, {"corridor_length": 5})
    assert not is_vectorized_with(maze, {"disable_env_checker": True})
    assert not is_vectorized_with(find_env("Acrobot-v1", "here"), {})


def test_a_vectorized_implementation_that_resets_at_once_does_not_fit():
    class SameStep:
        metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}  # noqa: RUF012

    spec = gymnasium.envs.registration.EnvSpec("SameStep-v0", vector_entry_point=SameStep)
    assert not is_vectorized_with(spec, {})


@pytest.mark.parametrize("env", sorted({*old_names.ENVIRONMENTS.values()}))
def test_what_old_names_stand_for_can_be_made_and_stepped_as_rllib_does(env):
    made = env_creator(env, "x")(EnvContext({}, worker_index=0))
    made.reset()
    made.step(made.action_space.sample())


@pytest.fixture
def ale(tmp_path, monkeypatch):
    """A package of Atari's name that registers an environment when it is imported."""
    registering = (
        "import gymnasium\ngymnasium.register('ALE/Pretended-v5', 'gymnasium.envs.classic_control:CartPoleEnv')\n"
    )
    (tmp_path / "ale_py.py").write_text(registering)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("ale_py", None)
    gymnasium.registry.pop("ALE/Pretended-v5", None)


def test_ataris_names_import_their_package_in_every_process(ale):
    assert with_package("ALE/Pretended-v5") == "ale_py:ALE/Pretended-v5"
    assert with_package("PongNoFrameskip-v4") == "ale_py:PongNoFrameskip-v4"
    assert with_package("CartPole-v1") == "CartPole-v1"
    find_env("ale_py:ALE/Pretended-v5", "here")
    check_env_config("ale_py:ALE/Pretended-v5", {}, "here")


@pytest.mark.skipif(importlib.util.find_spec("ale_py") is not None, reason="ale-py is installed")
def test_without_their_package_they_say_what_to_install():
    with pytest.raises(SettingsError, match=r"needs the package 'ale_py': pip install 'rllib-recattn\[atari\]'"):
        find_env(with_package("ALE/Pong-v5"), "here")


@pytest.mark.parametrize("env_config", [{"corridor_length": 3, 0: []}, {0: [], None: 1}])
def test_settings_without_a_name_are_refused(env_config):
    with pytest.raises(SettingsError, match=r"x.yaml: 0: should be a string, the name of a setting of .*TMaze-v0"):
        probe_env("rllib_recattn/TMaze-v0", env_config, "x.yaml")
