"""Sweeps of a few seconds, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rllib_recattn.experiment.algorithm.variants import build_variants
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.definition.yaml_file import dump_yaml
from rllib_recattn.experiment.records.metrics import read_results
from rllib_recattn.experiment.training.run import RunResult, run_experiment

SMALL = {
    "num_env_runners": 0,
    "train_batch_size_per_learner": 64,
    "minibatch_size": 32,
    "num_epochs": 1,
    "metrics_num_episodes_for_smoothing": 5,
}
LSTM = {"name": "lstm", "max_seq_len": 8, "d_model": 8}
GRU = {"name": "gru", "max_seq_len": 8, "d_model": 8}


class CountingEnv(gymnasium.Env):
    """Ends after five steps; fails in the second where it is told to, as long as a certain file is there."""

    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, config: dict[str, Any]):
        self._fails_while = config.get("fails_while")

    def reset(self, *, seed=None, options=None):
        self._steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self._steps += 1
        # Not in the first step, which is taken to check the settings.
        if self._steps > 1 and self._fails_while and Path(self._fails_while).exists():
            raise RuntimeError("the motor is broken")
        return np.zeros(2, np.float32), float(action), self._steps == 5, False, {}


def load_sweep(directory: Path, *, config: dict[str, Any], **changes: Any) -> Any:
    """Write and load a sweep; all but what is given is small, and settings that are None are left out."""
    content = {
        "run": "PPO",
        "env": f"{__name__}.CountingEnv",
        "stop": {"training_iteration": 2},
        "model": GRU,
        "storage_path": str(directory / "results"),
        "config": {**SMALL, **config},
        **changes,
    }
    content["config"] = {key: value for key, value in content["config"].items() if value is not None}
    path = directory / "sweep.yaml"
    path.write_text(dump_yaml({"sweep": content}))
    return load_experiment(path)


def run_sweep(experiment: Any, **options: Any) -> RunResult:
    config, *variants = build_variants(experiment)
    return run_experiment(experiment, config, variants=variants, **options)


def trial_directories(run_dir: Path) -> list[Path]:
    return sorted(path.parent for path in run_dir.glob("*/params.json"))


def parameters(run_dir: Path) -> list[dict[str, Any]]:
    """The choices of all trials, as Tune wrote them."""
    return [
        {key: value for key, value in json.loads((path / "params.json").read_text()).items() if key != "experiment"}
        for path in trial_directories(run_dir)
    ]


def iterations(trial_dir: Path) -> list[int]:
    return [result["training_iteration"] for result in read_results(trial_dir)]
