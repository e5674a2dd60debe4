"""Do AGaLiTe and GTrXL solve T-Maze on RLlib's old API stack: a corridor of 10 cells, PPO, one seed each.

    OMP_NUM_THREADS=1 python -m benchmarks.tmaze.old_stack

Trains tuned_examples/old-stack-tmaze-10-<model>-ppo.yaml one after the other, as `rllib train file` does, lets each
agent play 100 episodes greedily, as `rllib evaluate` does, and writes old_stack.json beside this file.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import Overrides, load_experiment
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.training.run import run_experiment

RESULT = Path(__file__).with_suffix(".json")
EXAMPLES = Path(__file__).parents[2] / "tuned_examples"
MODELS = ("agalite", "gtrxl")
EPISODES = 100


def main() -> None:
    runs = {}
    for model in MODELS:
        with tempfile.TemporaryDirectory() as directory:
            runs[model] = train_and_play(f"old-stack-tmaze-10-{model}-ppo", directory)
        print(
            f"{model}: {json.dumps({key: value for key, value in runs[model].items() if key != 'curve'})}", flush=True
        )
    report = {
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.tmaze.old_stack",
        "machine": {"threads_per_run": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
        "runs": runs,
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def train_and_play(example: str, directory: str) -> dict[str, Any]:
    experiment = load_experiment(EXAMPLES / f"{example}.yaml", Overrides(storage_path=directory))
    result = run_experiment(experiment, build_config(experiment))
    history = metrics.read_history(result.run_dir)
    columns = [metrics.ENV_STEPS, metrics.SECONDS, metrics.RETURN, metrics.SUCCESS]
    curve = history.reindex(columns=columns).astype(object).where(lambda table: table.notna(), None)
    played = evaluate_checkpoint(result.checkpoint, episodes=EPISODES)
    success = metrics.metric(result.metrics, metrics.SUCCESS)
    return {
        "solved": success >= experiment.stop[metrics.SUCCESS],
        "env_steps": int(metrics.metric(result.metrics, metrics.ENV_STEPS)),
        "seconds": round(metrics.metric(result.metrics, metrics.SECONDS), 1),
        "success_rate": success,
        "greedy_success_rate": played.success_rate.mean,
        "curve": curve.rename(columns=lambda name: name.rpartition("/")[2]).to_dict("records"),
    }


if __name__ == "__main__":
    main()
