"""Whole runs of RLlib by context: steps per second, and the peak memory of the runner's and the learner's process.

    python -m rllib_recattn.models.kernels.build; python -m benchmarks.training.whole_runs

PPO on T-Maze with 200 cells, one EnvRunner and one Learner in processes of their own with one thread each. AGaLiTe,
with and without its kernels, stands beside GTrXL with a memory of M = 64 … 4,096 steps, this package's LSTM and RLlib's
`use_lstm`, both with about as many parameters as AGaLiTe. All are built first and then take turns to train for an
iteration, so that whatever else the machine does slows all. An iteration samples 128 steps from each of 32 mazes, and
learns from them for 4 epochs in minibatches of 512. GTrXL has kernels for its gates alone, and is measured without.
It computes with all places of its memory, whether they hold a step yet or not, so that what it costs does not depend on
how long the episodes are.

Memory is what the system calls the peak resident set of a process (VmHWM), from the moment when the process holds its
module but has not used it; "added" is the peak without what was resident then. Rates are medians over iterations.
Writes whole_runs.json and the README's table. A size may be named, "2 × 64" or "4 × 128"; the other's results are kept.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from benchmarks.machine import machine
from benchmarks.plain import PLAIN
from benchmarks.readme import write_between
from benchmarks.training.loop import SIZES, PartTimes, cell_size_with
from rllib_recattn.inputs.input_settings import WITHOUT_MLP
from rllib_recattn.models.kernels import library

OUT = Path(__file__).with_suffix(".json")
COMMAND = "python -m rllib_recattn.models.kernels.build; python -m benchmarks.training.whole_runs"
ENV = "rllib_recattn:rllib_recattn/TMaze-v0"  # has a process of RLlib's own models import the package too
MARKS = "<!-- whole runs: written by benchmarks/training/whole_runs.py -->", "<!-- end of whole runs -->"
N_ENVS, STEPS = 32, 128
MAX_SEQ_LEN = 65  # RLlib appends a step to each chunk: 129 steps make two rows without padding
ROUNDS = {"2 × 64": 5, "4 × 128": 3}  # behind one round of warm-up
CONTEXTS = (64, 256, 1024, 4096)
AGALITE, KERNELS, LSTM, RLLIB_LSTM = "AGaLiTe", "AGaLiTe with kernels", "LSTM", "RLlib's use_lstm"
N_INPUTS, N_ACTIONS = 16, 4
SAMPLING, LEARNER = PARTS = "sampling, weight sync, rest", "learner"


def base_config() -> PPOConfig:
    return (
        PPOConfig()
        .environment(ENV, env_config={"corridor_length": 200})
        .env_runners(
            num_env_runners=1,
            num_envs_per_env_runner=N_ENVS,
            gym_env_vectorize_mode="vector_entry_point",
            rollout_fragment_length=STEPS,
        )
        .training(train_batch_size_per_learner=N_ENVS * STEPS, minibatch_size=512, num_epochs=4, lr=3e-4)
        .learners(num_learners=1)
        .debugging(seed=0, log_level="ERROR")
    )


def configs(size: str) -> dict[str, PPOConfig]:
    """Return the contenders of a size."""
    sizes = SIZES[size]
    wanted = sum(p.numel() for p in ra.build_model("agalite", input_dim=N_INPUTS, **sizes, **PLAIN).parameters())
    width = next(w for w in count(1) if 4 * w * (N_INPUTS + w + 2) >= wanted)
    cell = cell_size_with(wanted + (sizes["d_model"] + 1) * (N_ACTIONS + 1))
    rllib = {"use_lstm": True, "lstm_cell_size": cell, "max_seq_len": MAX_SEQ_LEN, "vf_share_layers": True}

    def ours(model: str, **settings: Any) -> PPOConfig:
        return ra.use_model(base_config(), model, max_seq_len=MAX_SEQ_LEN, encoder=WITHOUT_MLP, **settings)

    return {
        AGALITE: ours("agalite", **sizes, **PLAIN),
        KERNELS: ours("agalite", **sizes, **PLAIN),
        **{f"GTrXL, M = {context}": ours("gtrxl", memory_length=context, **sizes) for context in CONTEXTS},
        LSTM: ours("lstm", d_model=width),
        RLLIB_LSTM: base_config().rl_module(model_config=rllib),
    }


def everywhere(algorithm: Algorithm, function: Any) -> tuple[Any, Any]:
    """Call a function in the process of the EnvRunner and in that of the Learner."""
    (runner,) = algorithm.env_runner_group.foreach_env_runner(function, local_env_runner=False)
    (learner,) = (result.get() for result in algorithm.learner_group.foreach_learner(function))
    return runner, learner


def prepare(with_kernels: bool) -> Any:
    """Return what has a process use the kernels or not, forget its peak, and tell its resident bytes."""

    def here(_: Any) -> int:
        os.environ[library.SWITCH] = "1" if with_kernels else "0"
        library.kernels.cache_clear()
        if with_kernels and library.kernels() is None:
            raise RuntimeError("a process does not find the kernels")
        torch.set_num_threads(1)
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak
        return _kibibytes("VmRSS")

    return here


def peak(_: Any) -> int:
    return _kibibytes("VmHWM")


def _kibibytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def time_parts(algorithm: Algorithm) -> PartTimes:
    times = PartTimes()
    times.wrap(algorithm, "step", SAMPLING)
    times.wrap(algorithm.learner_group, "update", LEARNER)
    return times


def measure(size: str) -> dict[str, Any]:
    algorithms = {name: config.build_algo() for name, config in configs(size).items()}
    before = {name: everywhere(a, prepare(with_kernels=name == KERNELS)) for name, a in algorithms.items()}
    times = {name: time_parts(algorithm) for name, algorithm in algorithms.items()}
    rounds: dict[str, list[Counter[str]]] = {name: [] for name in algorithms}
    for index in range(1 + ROUNDS[size]):
        for name, algorithm in algorithms.items():
            times[name].seconds.clear()
            algorithm.train()
            print(f"{size}, round {index}, {name}: {times[name].seconds.total():.2f} s", flush=True)
            if index:
                rounds[name].append(Counter(times[name].seconds))
    peaks = {name: everywhere(algorithm, peak) for name, algorithm in algorithms.items()}
    results = {
        name: {"parameters": n_parameters(a), **costs(rounds[name], before[name], peaks[name])}
        for name, a in algorithms.items()
    }
    for algorithm in algorithms.values():
        algorithm.stop()
    return {
        "iterations": ROUNDS[size],
        "models": results,
        "of AGaLiTe's": {name: ratios(name, results, rounds) for name in results},
    }


def n_parameters(algorithm: Algorithm) -> int:
    module = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: sum(p.numel() for p in runner.module.parameters()), local_env_runner=False
    )
    return module[0]


def costs(seconds: list[Counter[str]], before: tuple[int, int], peaks: tuple[int, int]) -> dict[str, Any]:
    steps = N_ENVS * STEPS
    rates = sorted(steps / s.total() for s in seconds)
    return {
        "env_steps_per_second": round(statistics.median(rates), 1),
        "env_steps_per_second_range": [round(rates[0], 1), round(rates[-1], 1)],
        "seconds_by_part": {part: round(statistics.median(s[part] for s in seconds), 3) for part in PARTS},
        **{
            f"{process}_{key}": round(kibibytes / 1024, 1)
            for index, process in enumerate(("runner", "learner"))
            for key, kibibytes in (("peak_mib", peaks[index]), ("added_mib", peaks[index] - before[index]))
        },
    }


def ratios(name: str, results: dict[str, Any], rounds: dict[str, list[Counter[str]]]) -> dict[str, float]:
    """Return a contender's costs as multiples of AGaLiTe's without kernels; rates are compared within each round."""
    rates = [ours.total() / other.total() for other, ours in zip(rounds[name], rounds[AGALITE], strict=True)]
    memory = [key for key in results[name] if key.endswith("_mib")]
    return {
        "env_steps_per_second": round(statistics.median(rates), 3),
        **{key: round(results[name][key] / results[AGALITE][key], 3) for key in memory},
    }


def table(report: dict[str, Any], size: str = "4 × 128") -> str:
    """Return the README's table in Markdown: a size's costs, and in brackets as multiples of AGaLiTe's."""
    result = report["results"][size]
    units = {"env_steps_per_second": "", "runner_added_mib": " MiB", "learner_added_mib": " MiB"}
    lines = ["| model | environment steps per second | memory, runner | memory, learner |", "|---|---|---|---|"]
    for name, measured in result["models"].items():
        of_ours = result["of AGaLiTe's"][name]
        cells = [
            f"{measured[key]:,.0f}{unit}" + ("" if name == AGALITE else f" ({of_ours[key]:.2g} ×)")
            for key, unit in units.items()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    torch.set_num_threads(1)
    if unknown := set(sys.argv[1:]) - set(SIZES):
        raise SystemExit(f"no size: {', '.join(unknown)}; sizes are {', '.join(SIZES)}")
    if library.kernels() is None:
        raise SystemExit("the kernels are not built: python -m rllib_recattn.models.kernels.build")
    results = json.loads(OUT.read_text(encoding="utf-8"))["results"] if OUT.exists() and sys.argv[1:] else {}
    # Every actor is promised a processor; those of the contenders that wait for their turn do nothing.
    ray.init(address="local", num_cpus=64, include_dashboard=False, log_to_driver=False)
    for size in sys.argv[1:] or SIZES:
        results[size] = measure(size)
        print(size, json.dumps(results[size], indent=1, ensure_ascii=False), flush=True)
        report = {
            "command": COMMAND,
            "machine": {"threads_per_process": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
            "env_steps_per_iteration": N_ENVS * STEPS,
            "results": results,
        }
        OUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    ray.shutdown()
    write_between(MARKS, table(report))


if __name__ == "__main__":
    main()
