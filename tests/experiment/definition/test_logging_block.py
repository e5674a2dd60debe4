"""The logging block: strict arguments, no secrets, and packages that have to be there."""

from __future__ import annotations

import importlib.util
import inspect
from importlib.machinery import ModuleSpec

import pytest
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition import logging_block
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.logging_block import MlflowBlock, WandbBlock, check_logging
from tests.experiment.records.run_directories import SWEEP

WHERE = "x.yaml: e.logging"


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(logging_block, "_is_installed", lambda package: True)


def test_tensorboard_alone_is_the_default():
    block = check_logging({}, WHERE)
    assert (block.tensorboard, block.wandb, block.mlflow) == (True, None, None)


def test_one_line_is_enough(installed):
    block = check_logging({"wandb": {"project": "memory"}, "mlflow": {}}, WHERE)
    assert block.wandb.project == "memory"
    assert block.mlflow == MlflowBlock()


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"wand": {}}, r"unknown setting 'wand': did you mean 'wandb'\?"),
        ({"tensorboard": "on"}, "tensorboard = 'on'"),
        ({"wandb": True}, "wandb = True: should be a mapping"),
        ({"wandb": {"projet": "x"}}, r"logging.wandb: unknown setting 'projet': did you mean 'project'\?"),
        ({"wandb": {"mode": "off"}}, "wandb: mode = 'off': input should be 'online', 'offline' or 'disabled'"),
        ({"wandb": {"upload_timeout": -1}}, "upload_timeout = -1"),
        ({"mlflow": {"tags": {"team": 1}}}, "mlflow: tags.team = 1"),
        ({"mlflow": {"experiment": "x"}}, r"unknown setting 'experiment': did you mean 'experiment_name'\?"),
    ],
)
def test_what_is_wrong_is_named(installed, block, problem):
    with pytest.raises(SettingsError, match=problem):
        check_logging(block, WHERE)


@pytest.mark.parametrize(
    ("block", "advice"),
    [
        ({"wandb": {"api_key": "hunter2"}}, "logging.wandb.api_key: .*WANDB_API_KEY"),
        ({"mlflow": {"tracking_token": "hunter2"}}, "logging.mlflow.tracking_token: .*MLFLOW_TRACKING_TOKEN"),
        ({"wandb": "hunter2"}, "logging.wandb: should be a mapping"),
        ({"mlflow": {"tracking_uri": "https://me:hunter2@host"}}, "tracking_uri: .*MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_secrets_are_refused_and_not_repeated(installed, block, advice):
    with pytest.raises(SettingsError, match=advice) as refused:
        check_logging(block, WHERE)
    assert "hunter2" not in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(installed):
    with pytest.raises(SettingsError) as error:
        check_logging({"wandb": {"projet": "x"}, "mlflow": 3, "tensorbord": {}}, WHERE)
    places = ("wandb: unknown setting 'projet'", "mlflow = 3: should be", "unknown setting 'tensorbord'")
    lines = str(error.value).splitlines()
    assert len(lines) == len(places)
    assert all(place in line for place, line in zip(places, lines, strict=True))


@pytest.mark.parametrize("service", ["wandb", "mlflow"])
@pytest.mark.parametrize("spec", [None, ModuleSpec("directory of results", None)])
def test_a_missing_package_is_named_with_what_to_install(monkeypatch, service, spec):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(SettingsError, match=rf"logging.{service}: needs a package .*'rllib-recattn\[{service}\]'"):
        check_logging({service: {}}, WHERE)


def test_names_are_those_of_rays_callbacks_and_of_wandb():
    mlflow = set(inspect.signature(MLflowLoggerCallback).parameters)
    assert set(MlflowBlock.model_fields) < mlflow
    wandb = pytest.importorskip("wandb", reason="an extra of this package")
    known = {*inspect.signature(WandbLoggerCallback).parameters, *inspect.signature(wandb.init).parameters}
    assert set(WandbBlock.model_fields) < known


def test_the_block_is_part_of_an_experiment(tmp_path, installed):
    file = tmp_path / "x.yaml"
    file.write_text(SWEEP + "  logging: {tensorboard: false, wandb: {mode: offline}}\n")
    logging = load_experiment(file).logging
    assert (logging.tensorboard, logging.wandb.mode) == (False, "offline")
    file.write_text(SWEEP + "  logging: {wandb: {api_key: hunter2}}\n  storage: here\n")
    with pytest.raises(SettingsError, match="unknown setting 'storage'") as refused:
        load_experiment(file)
    assert "memory.logging.wandb.api_key" in str(refused.value)
