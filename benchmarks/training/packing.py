"""What packing the rows of train batches saves a learner: T-Maze, PPO, the same chunks with and without.

    python -m benchmarks.training.packing

The corridor has 20 cells and episodes end after 20 steps, as those of an agent do that has learned the way; a second
task, whose untrained agents wander for up to 60 steps, has episodes of many lengths. One thread, updates interleaved;
the ratio is the median over pairs of updates. Writes packing.json.
"""

from __future__ import annotations

import json
import os
import pickle
import statistics
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import rllib_recattn as ra
from benchmarks.machine import machine
from benchmarks.plain import PLAIN
from rllib_recattn.inputs.input_settings import WITHOUT_MLP

OUT = Path(__file__).with_suffix(".json")
REPETITIONS = 7
AGALITE = {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32, **PLAIN}
TASKS = {
    "20 cells, 20 steps": {"corridor_length": 20, "max_episode_steps": 20},
    "5 cells, up to 60 steps": {"corridor_length": 5, "max_episode_steps": 60},
}
CASES = [  # task, model, its settings, max_seq_len
    ("20 cells, 20 steps", "agalite", AGALITE, 64),
    ("20 cells, 20 steps", "agalite", AGALITE, 24),
    ("20 cells, 20 steps", "lstm", {"d_model": 64}, 64),
    ("20 cells, 20 steps", "gru", {"d_model": 64}, 64),
    ("5 cells, up to 60 steps", "agalite", AGALITE, 64),
    ("5 cells, up to 60 steps", "lstm", {"d_model": 64}, 64),
    ("5 cells, up to 60 steps", "gru", {"d_model": 64}, 64),
]


def config_of(task: str, model: str, settings: dict[str, Any], max_seq_len: int, pack_rows: bool) -> PPOConfig:
    config = (
        PPOConfig()
        .environment("rllib_recattn/TMaze-v0", env_config=TASKS[task])
        .env_runners(num_env_runners=0, num_envs_per_env_runner=32)
        .training(train_batch_size_per_learner=4096, minibatch_size=512, num_epochs=1, lr=0.0)
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
    )
    return ra.use_model(config, model, max_seq_len=max_seq_len, encoder=WITHOUT_MLP, pack_rows=pack_rows, **settings)


def measure(*case: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    runner = SingleAgentEnvRunner(config=config_of(*case, pack_rows=True))
    chunks = [runner.sample(num_timesteps=4096) for _ in range(2)][1]  # the second: it goes on with episodes
    spaces = runner.get_spaces()
    runner.stop()
    shipped = pickle.dumps([chunk.to_numpy() for chunk in chunks])
    learners, padding = {}, {}
    for pack_rows in (False, True):
        torch.manual_seed(0)
        learners[pack_rows] = config_of(*case, pack_rows=pack_rows).build_learner(spaces=spaces)
        padding[pack_rows] = update(learners[pack_rows], shipped)[1]  # warms up as well
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(REPETITIONS):
        for pack_rows, learner in learners.items():
            seconds[pack_rows].append(update(learner, shipped)[0])
    task, model, settings, max_seq_len = case
    ratios = [without / packed for without, packed in zip(seconds[False], seconds[True], strict=True)]
    return {
        "task": task,
        "model": model,
        "settings": settings,
        "max_seq_len": max_seq_len,
        "padding_share": {"unpacked": round(padding[False], 3), "packed": round(padding[True], 3)},
        "median_seconds": {
            "unpacked": round(statistics.median(seconds[False]), 3),
            "packed": round(statistics.median(seconds[True]), 3),
        },
        "speedup": {
            "median": round(statistics.median(ratios), 2),
            "min": round(min(ratios), 2),
            "max": round(max(ratios), 2),
        },
    }


def update(learner: Any, shipped: bytes) -> tuple[float, float]:
    """Return the seconds of an update from episodes to weights, of one epoch, and its padding share."""
    episodes = pickle.loads(shipped)
    start = time.perf_counter()
    results = learner.update(
        episodes=episodes, timesteps={}, minibatch_size=512, num_epochs=1, shuffle_batch_per_epoch=True
    )
    return time.perf_counter() - start, float(results["default_policy"]["recattn"]["padding_share"].peek())


def main() -> None:
    torch.set_num_threads(1)
    results = []
    for case in CASES:
        results.append(measure(*case))
        print(json.dumps(results[-1], ensure_ascii=False), flush=True)
    report = {
        "command": "python -m benchmarks.training.packing",
        "machine": {"threads": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
        "steps_per_update": 4096,
        "minibatch_size": 512,
        "repetitions": REPETITIONS,
        "results": results,
    }
    OUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
