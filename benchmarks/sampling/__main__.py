"""How fast an EnvRunner samples: AGaLiTe in one batch and in RLlib's way, beside RLlib's own models.

    python -m benchmarks.sampling

T-Maze with 20 cells, which one NumPy expression steps, and MiniGrid-MemoryS7, as its tuned example has it; 32
environments, 4,096 steps a call of ``sample()``. RLlib's sides have its default model, an MLP of two layers of 256, and
the same with ``use_lstm`` and a cell of 128. All EnvRunners are made in one process with one thread, and take turns, in
an order that is turned round each time. Seconds are CPU seconds of that process, since the machine may have other
things to do; medians over the rounds, and ratios of medians. Writes sampling.json.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import rllib_recattn as ra
from benchmarks.machine import where_it_runs
from benchmarks.plain import PLAIN
from rllib_recattn.inputs.input_settings import WITHOUT_MLP

OUT = Path(__file__).with_name("sampling.json")
STEPS, ENVIRONMENTS, WARM_UP, ROUNDS = 4096, 32, 2, 15
MODEL = {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32, **PLAIN}
LEAN, RLLIBS_WAY = "AGaLiTe, in one batch", "AGaLiTe, in RLlib's way"
MLP, LSTM = "RLlib's MLP", "RLlib's use_lstm"


def t_maze() -> PPOConfig:
    config = PPOConfig().environment("rllib_recattn/TMaze-v0", env_config={"corridor_length": 20})
    return config.env_runners(gym_env_vectorize_mode="vector_entry_point")


def memory_s7() -> PPOConfig:
    return PPOConfig().environment("rllib_recattn/MiniGrid-MemoryS7-v0", env_config={"agent_view_size": 3})


# Task → its config, whether RLlib's models need its observations flattened, and AGaLiTe's settings beside its sizes.
TASKS: dict[str, tuple[Callable[[], PPOConfig], bool, dict[str, Any]]] = {
    "T-Maze": (t_maze, False, {"encoder": WITHOUT_MLP, "max_seq_len": 24}),
    "MiniGrid-MemoryS7": (memory_s7, True, {"encoder": {"type": "mlp", "widths": [128]}, "max_seq_len": 32}),
}


def env_runner(task: str, side: str) -> SingleAgentEnvRunner:
    make, flattens, settings = TASKS[task]
    config = make().debugging(seed=0, log_level="ERROR")
    config.env_runners(
        num_env_runners=0, num_envs_per_env_runner=ENVIRONMENTS, rollout_fragment_length=STEPS // ENVIRONMENTS
    )
    if side in (LEAN, RLLIBS_WAY):
        ra.use_model(config, "agalite", lean_sampling=side == LEAN, **MODEL, **settings)
    elif flattens:
        config.env_runners(env_to_module_connector=lambda env, spaces, device: FlattenObservations())
    if side == LSTM:
        config.rl_module(model_config={"use_lstm": True, "lstm_cell_size": 128, "max_seq_len": settings["max_seq_len"]})
    return SingleAgentEnvRunner(config=config)


def measure(task: str) -> dict[str, Any]:
    runners = {side: env_runner(task, side) for side in (LEAN, RLLIBS_WAY, MLP, LSTM)}
    rates: dict[str, list[float]] = {side: [] for side in runners}
    for index in range(WARM_UP + ROUNDS):
        for side in sorted(runners, reverse=index % 2 == 1):
            start = time.process_time()
            episodes = runners[side].sample()
            seconds = time.process_time() - start
            if index >= WARM_UP:
                rates[side].append(sum(map(len, episodes)) / seconds)
            runners[side].get_metrics()
    for runner in runners.values():
        runner.stop()
    medians = {side: statistics.median(each) for side, each in rates.items()}
    return {
        "steps_per_cpu_second": {side: round(rate) for side, rate in medians.items()},
        "quartiles": {side: [round(q) for q in statistics.quantiles(each, n=4)[::2]] for side, each in rates.items()},
        f"ratios of “{LEAN}”": {side: round(medians[LEAN] / medians[side], 2) for side in rates if side != LEAN},
    }


def main() -> None:
    torch.set_num_threads(1)
    report = {
        "command": "python -m benchmarks.sampling",
        "machine": where_it_runs(),
        "environments": ENVIRONMENTS,
        "steps_per_sample": STEPS,
        "rounds": ROUNDS,
        "model": {"name": "agalite", **MODEL},
        "tasks": {task: measure(task) for task in TASKS},
    }
    OUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(report["tasks"], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
