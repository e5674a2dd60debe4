"""What recurrent states in episodes cost: RLlib's way, one for each step, and sparse states.

    python -m benchmarks.states.states

The same PPO EnvRunner and learner connectors with the same model, whose state has the size of the models that are
named, on T-Maze. For each size and number of environments both sides take turns in one process, on one thread, and are
measured in CPU time, which other load disturbs little; peak memory is measured in a process for each side. Writes
states.json and states.png.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import multiprocessing
import pickle
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import rllib_recattn as ra
from benchmarks.machine import machine
from rllib_recattn.inputs.input_settings import WITHOUT_MLP

HERE = Path(__file__).parent
MAX_SEQ_LEN = 64
STATES = {1: "LSTM-128", 10: "", 56: "AGaLiTe", 256: "GTrXL-128", 1000: "GaLiTe"}  # KiB
ENVS = (8, 32)
SIDES = {"stock": False, "sparse": True}
COLOURS = {"stock": "#c2410c", "sparse": "#0f766e"}
# Episodes end before long, since RLlib's EnvRunner holds all chunks of an unfinished one.
ENV_CONFIG = {"corridor_length": 20, "max_episode_steps": 128}
REPEATS = 7
FRAGMENTS_IN_MEMORY = 3


def steps_per_env(state_kib: int) -> int:
    """Steps in a fragment: two rows, or one where stock RLlib would need 4 GB for its states."""
    return MAX_SEQ_LEN if state_kib > 256 else 2 * MAX_SEQ_LEN


def config_for(side: str, state_kib: int, n_envs: int) -> AlgorithmConfig:
    config = (
        PPOConfig()
        .environment("rllib_recattn/TMaze-v0", env_config=ENV_CONFIG)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=n_envs, gym_env_vectorize_mode="vector_entry_point")
        .debugging(seed=0, log_level="ERROR")
    )
    model = "benchmarks.states.held_state:held_state"
    return ra.use_model(
        config, model, state_kib=state_kib, max_seq_len=MAX_SEQ_LEN, encoder=WITHOUT_MLP, sparse_states=SIDES[side]
    )


class Side:
    """An EnvRunner and a learner's connectors."""

    def __init__(self, side: str, state_kib: int, n_envs: int):
        torch.manual_seed(0)
        np.random.seed(0)
        config = config_for(side, state_kib, n_envs)
        self.n_steps = steps_per_env(state_kib) * n_envs
        self.runner = SingleAgentEnvRunner(config=config)
        spaces = {key: value for key, value in self.runner.get_spaces().items() if not key.startswith("__")}
        self.module = config.get_multi_rl_module_spec(spaces=spaces).build()
        self.connectors = config.build_learner_connector(None, None)

    def sample(self) -> list[Any]:
        episodes = self.runner.sample(num_timesteps=self.n_steps)
        self.runner.get_metrics()  # as RLlib does each time
        return episodes

    def connect(self, episodes: list[Any]) -> Any:
        return self.connectors(rl_module=self.module, batch={}, episodes=episodes, shared_data={})


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def costs(state_kib: int, n_envs: int) -> dict[str, dict[str, list[float]]]:
    """Measure all but memory, both sides in turns: name of the figure → its value in each repeat."""
    sides = {name: Side(name, state_kib, n_envs) for name in SIDES}
    names = ("bytes_per_step", "sampled_steps_per_cpu_second", "learner_connector_us_per_step")
    measured: dict[str, dict[str, list[float]]] = {side: {name: [] for name in names} for side in sides}
    for repeat in range(REPEATS + 1):
        for name, side in sides.items():
            sampling, episodes = cpu_seconds(side.sample)
            n_steps = sum(map(len, episodes))
            connecting, _ = cpu_seconds(lambda side=side, episodes=episodes: side.connect(episodes))
            if repeat:  # the first one warms up
                n_bytes = sum(len(pickle.dumps(episode, protocol=5)) for episode in episodes)
                values = (n_bytes / n_steps, n_steps / sampling, connecting / n_steps * 1e6)
                for key, value in zip(names, values, strict=True):
                    measured[name][key].append(value)
            del episodes
    return measured


def peak_memory(side: str, state_kib: int, n_envs: int) -> float:
    """Return by how many MiB sampling makes the process of an EnvRunner grow, at the most."""
    runner = Side(side, state_kib, n_envs)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _status_kib("VmRSS")
    for _ in range(FRAGMENTS_IN_MEMORY):
        runner.sample()
    return (_status_kib("VmHWM") - before) / 1024


def _status_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def in_a_process(function: Callable[..., Any], *args: Any) -> Any:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, args)


def compare(state_kib: int, n_envs: int) -> dict[str, Any]:
    measured = in_a_process(costs, state_kib, n_envs)
    result: dict[str, Any] = {"state_kib": state_kib, "envs": n_envs, "steps_per_env": steps_per_env(state_kib)}
    for side, figures in measured.items():
        medians = {name: float(f"{statistics.median(values):.4g}") for name, values in figures.items()}
        memory = in_a_process(peak_memory, side, state_kib, n_envs)
        result[side] = {**medians, "peak_memory_mib": round(memory, 1)}
    rates = "sampled_steps_per_cpu_second"
    result["stock_to_sparse"] = {
        name: round(value / result["sparse"][name], 2) for name, value in result["stock"].items() if name != rates
    }
    result["sampling_speedup"] = round(result["sparse"][rates] / result["stock"][rates], 2)
    result["all_sampled_steps_per_cpu_second"] = {
        side: [round(value) for value in figures[rates]] for side, figures in measured.items()
    }
    print(json.dumps(result), flush=True)
    return result


def draw(results: list[dict[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = {
        "bytes_per_step": "bytes shipped for each env step",
        "sampled_steps_per_cpu_second": "env steps sampled per CPU second",
        "learner_connector_us_per_step": "learner connectors, µs for each env step",
        "peak_memory_mib": "peak memory of sampling, MiB",
    }
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    for axis, (name, title) in zip(axes.flat, panels.items(), strict=True):
        for side in SIDES:
            for n_envs, style in zip(ENVS, ("o--", "o-"), strict=True):
                cells = [cell for cell in results if cell["envs"] == n_envs]
                sizes = [cell["state_kib"] for cell in cells]
                label = f"{side}, {n_envs} envs"
                axis.plot(sizes, [cell[side][name] for cell in cells], style, color=COLOURS[side], label=label, ms=4)
        axis.set(title=title, xscale="log", yscale="linear" if name.startswith("sampled") else "log")
        axis.set_xticks(list(STATES), [f"{kib}\n{model}" for kib, model in STATES.items()], minor=False, fontsize=8)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0, 1].set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel("state of one agent, KiB")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(HERE / "states.png", dpi=120)


def main() -> None:
    torch.set_num_threads(1)
    results = [compare(state_kib, n_envs) for state_kib in STATES for n_envs in ENVS]
    settings = {"max_seq_len": MAX_SEQ_LEN, "env_config": ENV_CONFIG, "repeats": REPEATS, "threads": 1}
    document = {
        "command": "python -m benchmarks.states.states",
        "settings": {**settings, "fragments_in_memory": FRAGMENTS_IN_MEMORY},
        "results": results,
        "machine": machine("numpy", "ray", "torch"),
    }
    (HERE / "states.json").write_text(json.dumps(document, indent=2) + "\n")
    draw(results)


if __name__ == "__main__":
    main()
