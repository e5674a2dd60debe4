"""Checkpoints that another version of Ray has written, or is to read."""

from __future__ import annotations

import json
import pickle
import pickletools
import shutil
import sys
import types

import pytest
import ray
from ray import cloudpickle
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPO
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.checkpoint_files import reading
from rllib_recattn.checkpoint_pickles import CLASS_FILE, OLD_STACK_FILE, load_pickle, name_classes
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import load_config
from rllib_recattn.rl_module.restore import is_of


def strings(file):
    return {argument for _, argument, _ in pickletools.genops(file.read_bytes()) if isinstance(argument, str)}


@pytest.fixture
def checkpoint(finished_run, tmp_path):
    """That of a run, which the test may change."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(finished_run.result.checkpoint, copy)
    return copy


@pytest.fixture
def of_another_ray(checkpoint, monkeypatch):
    """Puts the class of the algorithm into a checkpoint by value, with a function that only the other Ray has."""
    module = types.ModuleType("ray.tune.of_another_version")
    exec("def private(self): pass", vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)

    class Derived(PPO):
        private = module.private  # type: ignore[attr-defined]

    file = checkpoint / CLASS_FILE
    written = cloudpickle.dumps({**load_pickle(file), "class": Derived})
    monkeypatch.delitem(sys.modules, module.__name__)
    file.write_bytes(written)
    return checkpoint


def test_a_trial_names_the_classes_in_its_checkpoint(finished_run):
    files = [*finished_run.result.checkpoint.rglob(CLASS_FILE), *finished_run.result.checkpoint.rglob(OLD_STACK_FILE)]
    assert len(files) > 5
    for file in files:
        assert "_make_skeleton_class" not in strings(file), file
    with (finished_run.result.checkpoint / CLASS_FILE).open("rb") as file:
        assert pickle.load(file)["class"] is PPO


def test_the_classes_of_remote_components_are_named_as_well(tmp_path):
    actor = ray.remote(SingleAgentEnvRunner)
    by_value = actor.__ray_metadata__.modified_class
    assert by_value is not SingleAgentEnvRunner
    content = {"class": by_value, "ctor_args_and_kwargs": ((), {"worker_index": 1})}
    (tmp_path / "env_runner").mkdir()
    file = tmp_path / "env_runner" / CLASS_FILE
    file.write_bytes(cloudpickle.dumps(content))
    assert "_make_skeleton_class" in strings(file)
    old_stack = tmp_path / OLD_STACK_FILE
    old_stack.write_bytes(cloudpickle.dumps({"algorithm_class": type("PPOTrial", (PPO,), {}), "config": {"lr": 0.1}}))
    name_classes(tmp_path, PPO)
    assert pickle.loads(file.read_bytes()) == {**content, "class": SingleAgentEnvRunner}
    assert pickle.loads(old_stack.read_bytes()) == {"algorithm_class": PPO, "config": {"lr": 0.1}}


def test_a_checkpoint_of_another_version_of_ray_is_read(of_another_ray, finished_run):
    with pytest.raises((AttributeError, ImportError)):
        cloudpickle.loads((of_another_ray / CLASS_FILE).read_bytes())
    config, original = load_config(of_another_ray), load_config(finished_run.result.checkpoint)
    assert isinstance(config, AlgorithmConfig)
    assert config.to_dict().keys() == original.to_dict().keys()
    assert config.model_config == original.model_config
    algorithm = types.SimpleNamespace(get_default_config=PPO.get_default_config)
    assert is_of(of_another_ray, algorithm)


def test_what_this_ray_lacks_says_so_when_it_is_used(of_another_ray):
    lacking = load_pickle(of_another_ray / CLASS_FILE)["class"].private
    with pytest.raises(AttributeError, match=f"private is of another version of Ray than {ray.__version__}"):
        lacking()


def test_what_cannot_be_read_names_both_versions(checkpoint):
    file = checkpoint / "rllib_checkpoint.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "ray_version": "2.9.9"}))
    versions = f"written with Ray 2.9.9, and this is Ray {ray.__version__}"
    with pytest.raises(SettingsError, match=versions), reading(checkpoint):
        raise AttributeError("Can't get attribute 'private'")


def test_other_packages_that_are_missing_are_an_error(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"cnot_installed_package\nThing\n.")
    with pytest.raises(ImportError, match="not_installed_package"):
        load_pickle(tmp_path / "x.pkl")
