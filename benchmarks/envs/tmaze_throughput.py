"""What the vectorised T-Maze brings over gymnasium's SyncVectorEnv of scalar ones: alone, and under RLlib's env runner.

    python -m benchmarks.envs.tmaze_throughput

The scalar side is what ``gymnasium.make_vec(..., vectorization_mode="sync")`` builds, its usual wrappers included.
Both sides take turns within one run, on one thread, and are measured in CPU time, which other load disturbs little.
The result goes to tmaze_throughput.json beside this file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import rllib_recattn  # noqa: F401 (registers the environment)
from benchmarks.machine import machine

ENV = "rllib_recattn/TMaze-v0"
SETTINGS = {"corridor_length": 20}
MODES = {"sync": "sync", "vectorised": "vector_entry_point"}
REPEATS = 7
SECONDS_ALONE = 0.4
SECONDS_RLLIB = 1.5
RLLIB_ENVS = 32


def steps_per_cpu_second(step: Callable[[], int], seconds: float) -> float:
    """Call `step`, which returns how many environment steps it took, for a while."""
    steps, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        steps += step()
    return steps / elapsed


def stepper(num_envs: int, mode: str) -> Callable[[], int]:
    env = gymnasium.make_vec(ENV, num_envs=num_envs, vectorization_mode=mode, **SETTINGS)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 4, (64, num_envs))

    def step() -> int:
        for row in actions:
            env.step(row)
        return actions.size

    return step


def sampler(mode: str) -> Callable[[], int]:
    config = (
        PPOConfig()
        .environment(ENV, env_config=SETTINGS)
        .env_runners(num_envs_per_env_runner=RLLIB_ENVS, gym_env_vectorize_mode=mode)
        .debugging(seed=0)
    )
    runner = SingleAgentEnvRunner(config=config)

    def step() -> int:
        return sum(len(episode) for episode in runner.sample(num_timesteps=32 * RLLIB_ENVS))

    return step


def compare(build: Callable[[str], Callable[[], int]], seconds: float) -> dict[str, object]:
    steps = {name: build(mode) for name, mode in MODES.items()}
    rates: dict[str, list[float]] = {name: [] for name in MODES}
    for step in steps.values():
        step()
    for _ in range(REPEATS):
        for name, step in steps.items():
            rates[name].append(steps_per_cpu_second(step, seconds))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "steps_per_cpu_second_median": {name: round(value) for name, value in medians.items()},
        "ratio_of_medians": round(medians["vectorised"] / medians["sync"], 2),
        "steps_per_cpu_second": {name: [round(value) for value in values] for name, values in rates.items()},
    }


def main() -> None:
    torch.set_num_threads(1)
    result = {
        "command": "python -m benchmarks.envs.tmaze_throughput",
        "settings": {**SETTINGS, "repeats": REPEATS, "threads": 1},
        "environment_alone": {
            f"{num_envs} envs": compare(lambda mode, n=num_envs: stepper(n, mode), SECONDS_ALONE)
            for num_envs in (8, 32, 128)
        },
        "rllib_env_runner_with_default_ppo_module": {f"{RLLIB_ENVS} envs": compare(sampler, SECONDS_RLLIB)},
        "machine": machine("gymnasium", "numpy", "ray", "torch"),
    }
    text = json.dumps(result, indent=2)
    Path(__file__).with_suffix(".json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
