"""What an experiment names lies beside its file: found where it is checked, in Ray's processes, and when evaluated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, load_config
from tests.programs import RLLIB_PROGRAM

ROOT = Path(__file__).parents[2]

MODULE = """
import gymnasium as gym
import numpy as np
from ray.rllib.connectors.connector_v2 import ConnectorV2

from rllib_recattn.rl_module.learner import RecAttnPPOLearner
from rllib_recattn.rl_module.modules import RecAttnPPOModule


class Learner(RecAttnPPOLearner):
    def compute_loss_for_module(self, **arguments):
        self.metrics.log_value("own_learner", 1.0)
        return super().compute_loss_for_module(**arguments)


class Module(RecAttnPPOModule):
    def setup(self):
        super().setup()
        self.own = True


class Halved(ConnectorV2):
    def __init__(self, *args, factor, **kwargs):
        super().__init__(*args, **kwargs)
        self.factor = factor

    def __call__(self, *, batch, episodes, **kwargs):
        for episode in self.single_agent_episode_iterator(episodes):
            episode.set_observations(at_indices=-1, new_data=episode.get_observations(-1) * self.factor)
        return batch


def nothing_more(*args, seen):
    return []


class Corridor(gymnasium_env := gym.Env):
    def __init__(self, length: int = 3):
        self.observation_space, self.action_space = gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2)
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == self.length, False, {}
""".replace("gymnasium_env := ", "")

EXPERIMENT = """
beside:
  run: PPO
  env: own_parts:Corridor
  stop: {training_iteration: 1}
  storage_path: RESULTS
  model: {name: gru, d_model: 8, max_seq_len: 4}
  config:
    env_config: {length: 6}
    num_env_runners: 1
    train_batch_size_per_learner: 48
    minibatch_size: 48
    num_epochs: 1
    env_to_module_connector: {own_parts:Halved: {factor: 0.5}}
    learner_connector: [{own_parts.nothing_more: {seen: true}}]
    learner_class: own_parts:Learner
    module_class: own_parts:Module
    observation_filter: MeanStdFilter
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, whose Ray is its own as well, in another folder."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as ray_directory:
        environment = {**os.environ, "RAY_TMPDIR": ray_directory, "PYTHONPATH": str(ROOT), "COLUMNS": "500"}
        command = [sys.executable, "-c", RLLIB_PROGRAM, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ray_directory, timeout=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment and its parts, after it was trained."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_parts.py").write_text(MODULE)
    (folder / "beside.yaml").write_text(EXPERIMENT.replace("RESULTS", str(folder / "results")))
    done = run("train", "file", folder / "beside.yaml", "--ray-num-cpus", "2")
    assert done.returncode == 0, done.stderr
    assert "Finished: training_iteration 1" in done.stdout, done.stdout
    return folder


@pytest.fixture(autouse=True)
def forget_own_parts() -> Iterator[None]:
    """Has each test import them again."""
    yield
    sys.modules.pop("own_parts", None)


def test_it_is_evaluated_with_what_lies_there(folder: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", str(folder / "results" / "beside"), "--episodes", "2"])
    assert done.exit_code == 0, done.output
    assert "own_parts:Corridor: 2 episodes" in done.stdout
    assert "6.00" in done.stdout


def test_its_parts_took_part(folder: Path) -> None:
    run_dir = (folder / "results" / "beside").resolve()
    (result,) = (json.loads(line) for line in next(run_dir.glob("*/result.json")).read_text().splitlines())
    assert result["learners"]["own_learner"] == 1
    config = load_config(find_checkpoint(run_dir))
    assert config.learner_class.__module__ == config._rl_module_spec.module_class.__module__ == "own_parts"
    assert [type(piece).__name__ for piece in config._env_to_module_connector(None, None, None)][:2] == [
        "MeanStdFilter",
        "Halved",
    ]


@pytest.mark.parametrize("command", [["evaluate"], ["inspect"], ["record", "-o", "recorded"]])
def test_without_it_the_commands_say_so_in_one_line(folder: Path, command: list[str]) -> None:
    (folder / "own_parts.py").rename(folder / "gone.py")
    try:
        done = CliRunner().invoke(main, [*command, str(folder / "results" / "beside")])
    finally:
        (folder / "gone.py").rename(folder / "own_parts.py")
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert f"No module named 'own_parts'; put back what lay in {folder} when it was trained, or begin the" in line
