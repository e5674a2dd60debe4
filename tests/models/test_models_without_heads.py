"""A stacked model whose mixer has no heads: nobody gives it any, and checkpoints of when they did are read."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import rllib_recattn as ra
from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError, SettingsWarning
from rllib_recattn.migration.checkpoints.agent import Agent
from rllib_recattn.model_v2.settings import split_custom_model_config
from rllib_recattn.models import registry
from rllib_recattn.models.parts.scan import linear_recurrence
from rllib_recattn.models.parts.stack import Mixer, Stack, StackSettings
from rllib_recattn.rl_module.catalog import RecAttnCatalog

MAZE = {"observation_space": gym.spaces.Box(-1, 1, (16,), np.float32), "action_space": gym.spaces.Discrete(4)}
SIZES = {"d_model": 8, "n_layers": 2}
HEADS = {"n_heads": 4, "d_head": 64}
YAML = """maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: 'tests.models.test_models_without_heads:leaky', d_model: 8}
"""


class LeakySettings(StackSettings):
    """Settings of a stack of leaky averages."""

    def build(self, input_dim):
        return Stack(input_dim, self, [Leaky(self.d_model) for _ in range(self.n_layers)])


class Leaky(Mixer):
    """m ← z ⊙ m + (1 − z) ⊙ h, with a z = σ(W h) for each feature."""

    def __init__(self, d_model: int):
        super().__init__({"mean": (d_model,)})
        self.gate = nn.Linear(d_model, d_model)

    def forward(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None):
        decay = torch.sigmoid(self.gate(h))
        kept = decay if is_first is None else decay * ~is_first.unsqueeze(-1)
        means = linear_recurrence(kept, (1 - decay) * h, state["mean"])
        return means, {"mean": means[:, -1]}


@pytest.fixture(autouse=True)
def catalog(monkeypatch):
    monkeypatch.setattr(registry, "_CATALOG", dict(registry._CATALOG))
    ra.register_model("leaky", LeakySettings, description="leaky averages", source="folklore")


def test_it_is_given_none():
    assert not HEADS.keys() & LeakySettings.model_fields.keys()
    assert not any("head" in line for line in CliRunner().invoke(main, ["models", "leaky"]).stdout.splitlines()[4:])
    assert ra.build_model("leaky", input_dim=3, **SIZES).state_size == 16


@pytest.mark.parametrize("name", ["agalite", "galite", "gtrxl", "gla", "hgrn2", "rate"])
def test_those_of_the_catalog_with_heads_have_them(name):
    assert HEADS.keys() <= registry.settings_of(name).model_fields.keys()


def test_heads_are_refused_with_what_to_do():
    refusal = r"model 'leaky': n_heads = 4: the model has no heads; leave it out\n.*d_head = 64: .*leave it out"
    with pytest.raises(SettingsError, match=refusal):
        ra.build_model("leaky", input_dim=3, **SIZES, **HEADS)


def test_a_yaml_file_is_told_likewise(tmp_path, monkeypatch):
    (tmp_path / "x.yaml").write_text(YAML.replace("d_model: 8", "d_model: 8, n_heads: 2"))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", "file", "x.yaml", "--dry-run"])
    assert result.exit_code == 2
    assert "x.yaml: maze.model: n_heads = 2: the model has no heads; leave it out" in result.stderr


def test_a_checkpoint_that_states_them_is_read():
    from ray.rllib.algorithms.ppo import PPOConfig

    written = dict(ra.use_model(PPOConfig(), "leaky", **SIZES).model_config)
    written["recattn"] = {**written["recattn"], **HEADS}
    assert RecAttnCatalog(**MAZE, model_config_dict=written).build_actor_critic_encoder("torch") is not None
    agent = Agent.of_model_config(written, "model_config")
    assert agent is not None
    assert agent.settings == LeakySettings(**SIZES)
    with pytest.raises(SettingsError, match="unknown setting 'n_head'"):
        RecAttnCatalog(**MAZE, model_config_dict={**written, "recattn": {**written["recattn"], "n_head": 1}})


def test_on_the_old_stack_they_are_left_out_with_a_warning():
    with pytest.warns(SettingsWarning, match="custom: n_heads = 4: the model has no heads; leave it out"):
        settings, _ = split_custom_model_config({**SIZES, "n_heads": 4}, "leaky", "custom")
    assert settings == LeakySettings(**SIZES)
