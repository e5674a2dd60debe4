"""A model of another package: registered by its own module, trained, saved and loaded by processes that import it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import rllib_recattn as ra
from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.yaml_file import parse_yaml
from rllib_recattn.models import registry

MODEL = '''
import torch
from pydantic import Field
from torch import nn

import rllib_recattn as ra
from rllib_recattn.models.base import ModelSettings, SequenceModel, StateLayout


class EMASettings(ModelSettings):
    d_model: int = Field(16, gt=0, description="width of the average")
    keep: float = Field(0.9, ge=0, lt=1, description="share of the average that a step keeps")

    @property
    def output_dim(self):
        return self.d_model

    def build(self, input_dim):
        return EMA(input_dim, self)


class EMA(SequenceModel):
    """The exponential moving average of a projection of the inputs."""

    def __init__(self, input_dim, settings):
        super().__init__(input_dim, settings.output_dim, StateLayout({"mean": (settings.d_model,)}))
        self.keep = settings.keep
        self.project = nn.Linear(input_dim, settings.d_model)

    def read(self, x, state, is_first):
        mean, means = state["mean"], []
        for step, value in enumerate(self.project(x).unbind(1)):
            if is_first is not None:
                mean = mean.masked_fill(is_first[:, step, None], 0)
            mean = self.keep * mean + (1 - self.keep) * value
            means.append(mean)
        return torch.stack(means, dim=1), {"mean": mean}


ra.register_model("ema", EMASettings, description="exponential [moving] average", source="folklore")
'''

# A user's script: it imports the model, so the plain name will do, and the model is found beside the script.
SCRIPT = """
import os

import ray
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
import ema_memory.model

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
config = (
    PPOConfig()
    .environment("rllib_recattn/TMaze-v0", env_config={"corridor_length": 3})
    .env_runners(num_env_runners=1, create_env_on_local_worker=False)
    .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
)
algorithm = ra.use_model(config, "ema", d_model=8, max_seq_len=8).build_algo()
result = algorithm.train()
(process,) = algorithm.env_runner_group.foreach_env_runner(lambda runner: os.getpid(), local_env_runner=False)
assert process != os.getpid()
assert result["num_env_steps_sampled_lifetime"] == 64
algorithm.save_to_path(os.path.abspath("checkpoint"))
"""

YAML = """maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: 'ema_memory.model:ema', d_model: 8, max_seq_len: 8}
"""

MAZE = {"observation_space": gym.spaces.Box(-1, 1, (16,), np.float32), "action_space": gym.spaces.Discrete(4)}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory on the path that holds the package `ema_memory`, which nobody has imported yet."""
    (tmp_path / "ema_memory").mkdir()
    (tmp_path / "ema_memory" / "__init__.py").touch()
    (tmp_path / "ema_memory" / "model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for module in ("ema_memory.model", "ema_memory"):
        sys.modules.pop(module, None)


def test_it_is_found_by_its_qualified_name_and_then_by_its_own(package):
    with pytest.raises(SettingsError, match=r"unknown model 'ema': .*named 'module:name'"):
        ra.build_model("ema", input_dim=3)
    model = ra.build_model("ema_memory.model:ema", input_dim=3, d_model=5)
    assert model(torch.zeros(2, 4, 3), model.initial_state(2))[0].shape == (2, 4, 5)
    assert type(ra.build_model("ema", input_dim=3)) is type(model)
    assert [(info.name, info.state_size) for info in ra.list_models()][-1] == ("ema", 16)


@pytest.mark.parametrize("name", ["ema", "ema_memory.model:ema"])
def test_use_model_records_the_name_by_which_other_processes_find_it(package, name):
    from ray.rllib.algorithms.ppo import PPOConfig

    import_module("ema_memory.model")
    config = ra.use_model(PPOConfig(), name, keep=0.5)
    written = config.model_config["recattn"]
    assert json.loads(json.dumps(written)) == written == {"model": "ema_memory.model:ema", "d_model": 16, "keep": 0.5}


def test_a_model_of_the_script_itself_keeps_its_name_and_other_processes_say_what_to_do(package, monkeypatch):
    from ray.rllib.algorithms.ppo import PPOConfig

    from rllib_recattn.rl_module.catalog import RecAttnCatalog

    settings = import_module("ema_memory.model").EMASettings
    monkeypatch.setattr(settings, "__module__", "__main__")
    config = ra.use_model(PPOConfig(), "ema")
    assert config.model_config["recattn"]["model"] == "ema"
    RecAttnCatalog(**MAZE, model_config_dict=config.model_config)

    # As in a process that has not run the script.
    del registry._CATALOG["ema"]
    with pytest.raises(SettingsError, match=r"unknown model 'ema': .*an importable module that registers it"):
        RecAttnCatalog(**MAZE, model_config_dict=config.model_config)


@pytest.mark.slow
def test_a_script_trains_it_with_an_env_runner_of_its_own_and_the_checkpoint_is_evaluated(package, ray_session):
    (package / "train.py").write_text(SCRIPT)
    training = subprocess.run([sys.executable, "train.py"], capture_output=True, text=True, timeout=240)
    assert training.returncode == 0, training.stderr

    assert "ema_memory" not in sys.modules
    result = CliRunner().invoke(main, ["evaluate", "checkpoint", "--episodes", "2"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "2 episodes" in result.stdout
    assert "ema_memory.model" in sys.modules


def test_a_yaml_file_names_it(package):
    (package / "x.yaml").write_text(YAML)
    result = CliRunner().invoke(main, ["train", "file", "x.yaml", "--dry-run"])
    assert result.exit_code == 0, result.output
    block = parse_yaml(result.stdout, "stdout")["maze"]["model"]
    assert (block["name"], block["d_model"], block["keep"]) == ("ema_memory.model:ema", 8, 0.9)


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("d_model: 8", "d_modell: 8", "maze.model: unknown setting 'd_modell': did you mean 'd_model'?"),
        ("d_model: 8", "keep: 1.0", "maze.model: keep = 1.0: input should be less than 1"),
        (":ema", ":emma", "maze.model: unknown model 'ema_memory.model:emma': 'ema_memory.model' registers no 'emma'"),
        ("model:ema", "modell:ema", "maze.model: model 'ema_memory.modell:ema': the module 'ema_memory.modell' cannot"),
    ],
)
def test_mistakes_in_a_yaml_file_are_named(package, right, wrong, problem):
    (package / "x.yaml").write_text(YAML.replace(right, wrong))
    result = CliRunner().invoke(main, ["train", "file", "x.yaml", "--dry-run"])
    assert result.exit_code == 2
    assert f"Error: x.yaml: {problem}" in result.stderr


def test_rllib_models_shows_its_settings_and_lists_it_once_it_is_imported(package):
    result = CliRunner().invoke(main, ["models", "ema_memory.model:ema"])
    assert result.exit_code == 0, result.output
    assert "ema_memory.model:ema: exponential [moving] average (folklore)" in result.stdout
    assert "float ≥ 0, < 1" in result.stdout
    assert "\n ema " in CliRunner().invoke(main, ["models"]).stdout
