"""Where the seconds of training go: T-Maze, PPO, AGaLiTe beside RLlib's own `use_lstm` with as many parameters.

    python -m rllib_recattn.models.kernels.build; python -m benchmarks.training.loop

AGaLiTe runs with the kernels in C++ that the first command builds, and with PyTorch's operations alone. All three
algorithms are built in one process with one thread, and take turns to train for an iteration (sampling 4,096 steps
from 32 mazes that one NumPy expression steps, 4 epochs of minibatches of 512). A part's seconds are its own, without
those of the parts inside it, and are medians over iterations. The LSTM is RLlib's as `use_lstm` makes it, behind two
layers of 256, with a cell so large that the whole module has at least AGaLiTe's parameters. Writes loop.json.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from benchmarks.machine import machine
from benchmarks.plain import PLAIN
from rllib_recattn.inputs.input_settings import WITHOUT_MLP
from rllib_recattn.models.kernels import library

OUT = Path(__file__).with_suffix(".json")
WARM_UP, ITERATIONS = 2, 7
MAX_SEQ_LEN = 24
SIZES = {
    "2 × 64": {"d_model": 64, "n_layers": 2, "n_heads": 2, "d_head": 32},
    "4 × 128": {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_head": 64},
}
KERNELS, PYTORCH, LSTM = "AGaLiTe", "AGaLiTe without kernels", "RLlib's LSTM"
ACTING, LEARNING, REST = "sampling: model", "learner: forward", "rest of train()"


class PartTimes:
    """Adds up the seconds that are spent in wrapped methods, each without those in the wrapped ones that it calls."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._running: list[str] = []
        self._since = 0.0

    def wrap(self, owner: Any, method: str, part: str) -> None:
        """Have the time in a method of an object count as `part`."""
        setattr(owner, method, self.timed(getattr(owner, method), part))

    def timed(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._running.append(part)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._running.pop()

        return call

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


def base_config() -> PPOConfig:
    return (
        PPOConfig()
        .environment("rllib_recattn/TMaze-v0", env_config={"corridor_length": 20})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=32, gym_env_vectorize_mode="vector_entry_point")
        .training(train_batch_size_per_learner=4096, minibatch_size=512, num_epochs=4, lr=3e-4)
        .learners(num_learners=0)
        .debugging(seed=0, log_level="ERROR")
    )


def agalite(size: str) -> PPOConfig:
    return ra.use_model(base_config(), "agalite", max_seq_len=MAX_SEQ_LEN, encoder=WITHOUT_MLP, **SIZES[size], **PLAIN)


def lstm(cell_size: int) -> PPOConfig:
    model = {"use_lstm": True, "lstm_cell_size": cell_size, "max_seq_len": MAX_SEQ_LEN, "vf_share_layers": True}
    return base_config().rl_module(model_config=model)


def n_parameters(algorithm: Algorithm) -> int:
    return sum(parameter.numel() for parameter in learner_of(algorithm).module["default_policy"].parameters())


def learner_of(algorithm: Algorithm) -> Any:
    return algorithm.learner_group._learner


def cell_size_with(wanted: int) -> int:
    """Return the size of the smallest cell with which RLlib's module has that many parameters.

    With 16 observations, 4 actions, and layers of 256 before the cell.
    """
    before = 16 * 256 + 256 + 256 * 256 + 256
    return next(w for w in range(1, 4096) if before + 4 * w * (256 + w + 2) + 5 * (w + 1) >= wanted)


def time_parts(algorithm: Algorithm) -> PartTimes:
    times, runner, learner = PartTimes(), algorithm.env_runner, learner_of(algorithm)
    module = learner.module["default_policy"]
    for owner, method, part in (
        (algorithm, "step", REST),
        (runner, "sample", "sampling: the runner's rest"),
        (runner, "_env_to_module", "sampling: env-to-module"),
        (runner, "_module_to_env", "sampling: module-to-env"),
        (runner.module, "forward_exploration", ACTING),
        (runner.env, "step", "sampling: environment"),
        (algorithm.learner_group, "update", "learner: minibatches, metrics, rest"),
        (learner, "_learner_connector", "learner: connectors"),
        (module, "compute_values", "learner: values for advantages"),
        (learner.module, "forward_train", LEARNING),
        (learner, "compute_losses", "learner: loss"),
        (learner, "compute_gradients", "learner: backward"),
        (learner, "postprocess_gradients", "learner: gradients, optimizer"),
        (learner, "apply_gradients", "learner: gradients, optimizer"),
        (algorithm.env_runner_group, "sync_weights", "weight sync"),
    ):
        times.wrap(owner, method, part)
    return times


def train_in_turns(algorithms: dict[str, Algorithm]) -> dict[str, list[Counter[str]]]:
    """Train algorithms in turns, `KERNELS` alone with the kernels; returns the seconds of each iteration by part."""
    times = {name: time_parts(algorithm) for name, algorithm in algorithms.items()}
    rounds: dict[str, list[Counter[str]]] = {name: [] for name in algorithms}
    for index in range(WARM_UP + ITERATIONS):
        for name, algorithm in algorithms.items():
            times[name].seconds.clear()
            with nullcontext() if name == KERNELS else mock.patch.object(library, "kernels", return_value=None):
                algorithm.train()
            if index >= WARM_UP:
                rounds[name].append(Counter(times[name].seconds))
    return rounds


def medians(rounds: list[Counter[str]]) -> dict[str, Any]:
    """Return the median seconds of an iteration, and of its parts."""
    return {
        "seconds": round(statistics.median(r.total() for r in rounds), 3),
        "seconds_by_part": {part: round(statistics.median(r[part] for r in rounds), 4) for part in sorted(rounds[0])},
    }


def measure(size: str) -> dict[str, Any]:
    algorithms = {name: agalite(size).build_algo() for name in (KERNELS, PYTORCH)}
    cell_size = cell_size_with(n_parameters(algorithms[KERNELS]))
    algorithms[LSTM] = lstm(cell_size).build_algo()
    rounds = train_in_turns(algorithms)
    result: dict[str, Any] = {"lstm_cell_size": cell_size, "models": {}}
    for name, algorithm in algorithms.items():
        result["models"][name] = {"parameters": n_parameters(algorithm), **medians(rounds[name])}
        algorithm.stop()
    result["ratios"] = {
        f"{ours} / {theirs}": {
            "whole loop": _ratio([a.total() / b.total() for a, b in zip(rounds[ours], rounds[theirs], strict=True)]),
            "acting": _ratio([a[ACTING] / b[ACTING] for a, b in zip(rounds[ours], rounds[theirs], strict=True)]),
            "learner": _ratio([_learner(a) / _learner(b) for a, b in zip(rounds[ours], rounds[theirs], strict=True)]),
        }
        for ours, theirs in ((KERNELS, LSTM), (PYTORCH, LSTM), (PYTORCH, KERNELS))
    }
    return result


def _learner(seconds: Counter[str]) -> float:
    return sum(value for part, value in seconds.items() if part.startswith("learner"))


def _ratio(ratios: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(ratios), 2),
        "min": round(min(ratios), 2),
        "max": round(max(ratios), 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    if library.kernels() is None:
        raise SystemExit("the kernels are not built: python -m rllib_recattn.models.kernels.build")
    results = {}
    for size in SIZES:
        results[size] = measure(size)
        print(size, json.dumps(results[size], indent=1, ensure_ascii=False), flush=True)
    report = {
        "command": "python -m rllib_recattn.models.kernels.build; python -m benchmarks.training.loop",
        "machine": {"threads": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
        "env_steps_per_iteration": 4096,
        "iterations": ITERATIONS,
        "results": results,
    }
    OUT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
