"""Masks in YAML files, of both API stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.rl_module.recurrence import settings_in

MODEL = {"name": "gru", "d_model": 16, "max_seq_len": 7}


def experiment(folder: Path, action_mask: str, env: str = "tests.masks.illegal.Illegal", **config: Any) -> Any:
    content: dict[str, Any] = {"run": "PPO", "env": env, "stop": {"training_iteration": 1}}
    content |= {"model": {**MODEL, "action_mask": action_mask}, "config": config}
    file = folder / "masks.yaml"
    file.write_text(yaml.safe_dump({"masks": content}))
    return load_experiment(file)


def test_the_model_block_has_a_mask(tmp_path: Path) -> None:
    config = build_config(experiment(tmp_path, "action_mask"))
    assert settings_in(config.model_config).action_mask == "action_mask"


@pytest.mark.parametrize(
    ("key", "config", "problem"),
    [
        ("mask", {}, r"action_mask = 'mask': no key of the observation space: .*action_mask"),
        ("clock", {}, "should be a MultiBinary, or a Box from 0 to 1, of shape"),
        ("action_mask", {"observation_filter": "MeanStdFilter"}, "would normalise the mask"),
    ],
)
def test_wrong_masks_are_refused_before_anything_starts(
    tmp_path: Path, key: str, config: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        build_config(experiment(tmp_path, key, **config))


@pytest.mark.parametrize(("key", "problem"), [("action_mask", None), ("mask", "no key of the observation space")])
def test_old_stack(tmp_path: Path, key: str, problem: str | None) -> None:
    old = {"enable_rl_module_and_learner": False, "enable_env_runner_and_connector_v2": False}
    if problem is not None:
        with pytest.raises(SettingsError, match=problem):
            build_config(experiment(tmp_path, key, **old))
        return
    config = build_config(experiment(tmp_path, key, **old))
    assert config.model["custom_model_config"]["action_mask"] == key
    assert config.disable_env_checking
