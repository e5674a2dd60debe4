"""Experiments whose environment fails, run as `rllib train file` runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.training.run import RunResult, run_experiment
from tests.faults.faulty_env import FAULTY

STEPS = 80  # of an iteration


def write_experiment(directory: Path, *, config: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write an experiment with two EnvRunners and four iterations of some tenths of a second; returns the file."""
    content = {
        "run": "PPO",
        "env": FAULTY,
        "stop": {"num_env_steps_sampled_lifetime": 4 * STEPS},
        "model": {"name": "agalite", "max_seq_len": 8, "d_model": 16, "n_layers": 1, "n_heads": 2, "d_head": 4},
        "checkpoint": {"frequency": 1},
        "storage_path": str(directory / "results"),
        "config": {
            "num_env_runners": 2,
            "num_envs_per_env_runner": 2,
            "train_batch_size_per_learner": STEPS,
            "minibatch_size": 40,
            "num_epochs": 1,
            "seed": 0,
            **(config or {}),
        },
        **changes,
    }
    file = directory / "faulty.yaml"
    file.write_text(yaml.safe_dump({"faulty": content}))
    return file


def run(directory: Path, **changes: Any) -> RunResult:
    """Run such an experiment in this process."""
    experiment = load_experiment(write_experiment(directory, **changes))
    return run_experiment(experiment, build_config(experiment))


def results(run_dir: Path) -> list[dict[str, Any]]:
    """All results of the one trial of a run, in the order in which they were reported."""
    (path,) = run_dir.glob("*/result.json")
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_nothing_lost(run_dir: Path, iterations: int | None = None) -> None:
    """Each iteration is there once, steps and time grow, and nothing is NaN among the losses."""
    history = results(run_dir)
    assert [result["training_iteration"] for result in history] == list(range(1, len(history) + 1))
    assert iterations is None or len(history) == iterations
    for key in ("num_env_steps_sampled_lifetime", "time_total_s"):
        values = [result.get(key, 0) for result in history]
        assert values == sorted(values), key


def resume(directory: Path, run_dir: Path) -> RunResult:
    """Resume such a run, whose file is in `directory`."""
    experiment = load_experiment(directory / "faulty.yaml")
    return run_experiment(experiment, build_config(experiment), resume=run_dir)
