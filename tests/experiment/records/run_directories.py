"""Run directories as training leaves them, written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rllib_recattn.experiment.definition.load import load_experiment

SWEEP = """
memory:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {env_runners/success_rate: 0.95, training_iteration: 4}
  tune: {num_samples: 2, metric: env_runners/success_rate}
  model:
    grid_search:
      - {name: agalite, d_model: 16, max_seq_len: 8}
      - {name: gru, d_model: 16, max_seq_len: 8}
  config:
    lr: {loguniform: [1e-5, 1e-2]}
    env_config: {corridor_length: 3}
    train_batch_size_per_learner: 128
    minibatch_size: 64
"""


def write_experiment(run_dir: Path, text: str = SWEEP, **changes: Any) -> None:
    """Write what a run was asked to do."""
    run_dir.mkdir(parents=True, exist_ok=True)
    file = run_dir.parent / "experiment.yaml"
    file.write_text(text)
    experiment = load_experiment(file).model_copy(update=changes)
    (run_dir / "experiment.json").write_text(experiment.model_dump_json(indent=2))


def write_trial(
    run_dir: Path,
    index: int,
    successes: Sequence[float],
    choices: Mapping[str, Any] | None = None,
    *,
    steps: int = 100,
    done: bool = True,
    tail: str = "",
    error: str | None = None,
) -> Path:
    """Write a trial with a success rate, and ten times that as its return, for each of its iterations."""
    directory = run_dir / f"trial_{index:05d}"
    directory.mkdir(parents=True)
    (directory / "params.json").write_text(json.dumps({**(choices or {}), "experiment": "experiment.json"}))
    results = [
        {
            "training_iteration": iteration,
            "num_env_steps_sampled_lifetime": steps * iteration,
            "time_total_s": 2.0 * iteration,
            "env_runners": {"success_rate": success, "episode_return_mean": 10 * success},
            "config": dict(choices or {}),
            "done": done and iteration == len(successes),
        }
        for iteration, success in enumerate(successes, start=1)
    ]
    (directory / "result.json").write_text("".join(json.dumps(result) + "\n" for result in results) + tail)
    if error is not None:
        (directory / "error.txt").write_text(error)
    return directory


def write_sweep(run_dir: Path) -> Path:
    """Write a sweep: one trial that is solved, one that the scheduler ended, one that failed, one that was killed."""
    write_experiment(run_dir)
    agalite, gru = "agalite", "gru"
    write_trial(run_dir, 0, [0.4, 0.5, 0.96], {"model": agalite, "config.lr": 3e-4})
    write_trial(run_dir, 1, [0.5, 0.3], {"model": gru, "config.lr": 2e-5})
    write_trial(run_dir, 2, [0.6], {"model": agalite, "config.lr": 5e-3}, done=False, error="Failure # 1\nboom\n")
    write_trial(run_dir, 3, [0.5, 0.55], {"model": gru, "config.lr": 1e-3}, done=False, tail='{"training_iter')
    return run_dir
