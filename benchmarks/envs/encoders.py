"""Should observed numbers go to the model as they are, or through an MLP as RLlib sends them to its own LSTM?

    python -m benchmarks.envs.encoders [--tasks tmaze …] [--models agalite …] [--encoders none …] [--seeds 0 1]

Trains every model on every task with every encoder; of a task's settings nothing else differs, and the sizes of the
models do not either. Tasks are T-Maze with 20 cells and four of POPGym's: two whose observations are one-hot vectors,
and two in which positions of a body are seen without their velocities. Writes encoders.json beside this file after each
run; runs that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.plain import PLAIN
from benchmarks.training_runs import BUDGET, experiment_of, report, train_experiment

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m benchmarks.envs.encoders"
POPGYM = "popgym-repeat-first-easy-agalite-ppo"
# Name → the tuned example whose settings of PPO all models have, POPGym's task, and the steps after which a run ends.
TASKS: dict[str, tuple[str, str | None, int]] = {
    "pendulum": (POPGYM, "popgym-PositionOnlyPendulumEasy-v0", 150_000),
    "cartpole": (POPGYM, "popgym-PositionOnlyCartPoleEasy-v0", 150_000),
    "tmaze": ("tmaze-agalite-ppo", None, 250_000),
    "repeat-first": (POPGYM, "popgym-RepeatFirstEasy-v0", 250_000),
    "repeat-previous": (POPGYM, "popgym-RepeatPreviousEasy-v0", 250_000),
}
# Delayed consequences, where the answers of the card tasks are rewarded at once.
CONTROL = {"gamma": 0.99, "lambda_": 0.95}
STACKED = {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32}
MODELS: dict[str, dict[str, Any]] = {
    "agalite": {"name": "agalite", **STACKED, **PLAIN},
    "gla": {"name": "gla", "conv_size": 0, **STACKED},
    "lstm": {"name": "lstm", "d_model": 128},
}
ENCODERS: dict[str, dict[str, Any]] = {
    "none": {"type": "auto", "widths": []},
    "mlp-64": {"type": "mlp", "widths": [64], "activation": "relu"},
    "mlp-256-256-tanh": {"type": "mlp", "widths": [256, 256], "activation": "tanh"},  # RLlib's own
}


def train(task: str, model: str, encoder: str, seed: int) -> dict[str, Any]:
    """Train one agent; returns its learning curve."""
    from rllib_recattn.experiment.definition.model_block import check_model

    example, popgym_task, budget = TASKS[task]
    experiment = experiment_of(example)
    assert experiment.model is not None
    max_seq_len = 128 if task == "cartpole" else experiment.model.max_seq_len
    block = {**MODELS[model], "max_seq_len": max_seq_len, "encoder": ENCODERS[encoder]}
    config = dict(experiment.config)
    if popgym_task is not None:
        config["env_config"] = {"task": popgym_task}
    if task in ("pendulum", "cartpole"):
        config |= CONTROL
    changed = {"model": check_model(block, task), "config": config, "stop": {**experiment.stop, BUDGET: budget}}
    return train_experiment(experiment.model_copy(update=changed), seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["agalite", "lstm"])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=["none", "mlp-64"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    arguments = parser.parse_args()

    runs: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8"))["runs"] if RESULT.exists() else {}
    wanted = [
        (task, model, encoder, seed)
        for seed in arguments.seeds
        for task in arguments.tasks
        for model in arguments.models
        for encoder in arguments.encoders
    ]
    for run in wanted:
        name = "/".join(map(str, run))
        if name not in runs:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # a fresh process for each
                runs[name] = pool.submit(train, *run).result()
            print(report(name, runs[name]), flush=True)
            RESULT.write_text(json.dumps({"command": COMMAND, "runs": runs}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
