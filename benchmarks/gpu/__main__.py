"""What models cost on a GPU: an acting step, an update, and a whole iteration of PPO with its learner there.

    python -m benchmarks.gpu [--device cuda] [--rounds 30] [--out FILE]

AGaLiTe, GLA, Gated DeltaNet and GTrXL beside an LSTM with as many parameters as AGaLiTe; GLA with the fused kernels of
flash-linear-attention as well, where that is installed. All take turns within each round; figures are medians. Nothing
has been claimed of GPUs so far: the result goes to gpu.json beside this file once somebody has run it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from benchmarks.machine import machine
from benchmarks.models.beside_lstm import SIZES
from benchmarks.models.sizes import n_parameters
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.registry import build_model

RESULT = Path(__file__).with_name("gpu.json")
COMMAND = "python -m benchmarks.gpu"
NAMES = ("agalite", "gla", "gated_delta_net", "gtrxl")
BATCHES = (1, 64, 1024)
SHAPES = ((32, 64), (256, 64), (32, 512))  # rows, steps
STEPS_PER_ROUND = 20


def models(size: str, device: str) -> dict[str, SequenceModel]:
    torch.manual_seed(0)
    width = SIZES[size]["d_model"]
    contenders = {name: build_model(name, input_dim=width, **SIZES[size]) for name in NAMES}
    wanted = n_parameters(contenders["agalite"])
    cell = next(w for w in range(1, 4096) if 4 * w * (width + w + 2) >= wanted)
    contenders["lstm"] = build_model("lstm", input_dim=width, d_model=cell)
    return {name: model.to(device) for name, model in contenders.items()}


def acting(model: SequenceModel, batch: int, device: str) -> Callable[[], None]:
    x, states = torch.randn(batch, 1, model.input_dim, device=device), [model.initial_state(batch)]

    def steps() -> None:
        with torch.inference_mode():
            for _ in range(STEPS_PER_ROUND):
                states[0] = model(x, states[0])[1]

    return steps


def training(model: SequenceModel, rows: int, steps: int, device: str) -> Callable[[], None]:
    x, state = torch.randn(rows, steps, model.input_dim, device=device), model.initial_state(rows)

    def update() -> None:
        model.zero_grad()
        model(x, state)[0].square().mean().backward()

    return update


def in_turns(works: dict[str, Callable[[], None]], rounds: int, device: str) -> dict[str, float]:
    """Return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for index in range(rounds + 3):
        for name, work in works.items():
            wait(device)
            start = time.perf_counter()
            work()
            wait(device)
            if index >= 3:  # what is made once has been made
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def compared(seconds: dict[str, float], per: int = 1) -> dict[str, Any]:
    return {
        "milliseconds": {name: round(1e3 * each / per, 4) for name, each in seconds.items()},
        "of the LSTM's": {name: round(each / seconds["lstm"], 2) for name, each in seconds.items() if name != "lstm"},
    }


def measure(size: str, device: str, rounds: int) -> dict[str, Any]:
    contenders = models(size, device)
    result: dict[str, Any] = {"parameters": {name: n_parameters(model) for name, model in contenders.items()}}
    for batch in BATCHES:
        works = {name: acting(model, batch, device) for name, model in contenders.items()}
        result[f"acting, B = {batch}"] = compared(in_turns(works, rounds, device), STEPS_PER_ROUND)
    for rows, steps in SHAPES:
        works = {name: training(model, rows, steps, device) for name, model in contenders.items()}
        key = f"training, B = {rows}, T = {steps}"
        result[key] = compared(in_turns(works, rounds, device))
        if device == "cuda":
            result[key]["peak MiB"] = {name: peak(work) for name, work in works.items()}
    return result


def peak(work: Callable[[], None]) -> float:
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return round(torch.cuda.max_memory_allocated() / 2**20, 1)


def iteration_of_ppo(model: str | None, device: str, rounds: int) -> float:
    """Return the median seconds of an iteration on T-Maze; None: RLlib's ``use_lstm``."""
    from ray.rllib.algorithms.ppo import PPOConfig

    import rllib_recattn as ra

    config = (
        PPOConfig()
        .environment("rllib_recattn/TMaze-v0", env_config={"corridor_length": 20, "max_episode_steps": 80})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=32)
        .training(train_batch_size_per_learner=4096, minibatch_size=512, num_epochs=4)
        .learners(num_learners=0, num_gpus_per_learner=1 if device == "cuda" else 0)
        .debugging(seed=0, log_level="ERROR")
    )
    if model is None:
        config.rl_module(model_config={"use_lstm": True, "lstm_cell_size": 128, "max_seq_len": 32})
    else:
        config = ra.use_model(config, model, max_seq_len=32, **SIZES["2 × 64"])
    algorithm = config.build_algo()
    try:
        seconds = []
        for _ in range(rounds + 1):
            start = time.perf_counter()
            algorithm.train()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[1:])
    finally:
        algorithm.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--iterations", type=int, default=5, help="of PPO, for each model")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no CUDA device here; --device cpu --out FILE tries the benchmark itself")
    results = {size: measure(size, arguments.device, arguments.rounds) for size in SIZES}
    whole = {
        name or "RLlib's use_lstm": round(iteration_of_ppo(name, arguments.device, arguments.iterations), 3)
        for name in ("agalite", "gla", "gated_delta_net", None)
    }
    report = {
        "command": COMMAND,
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu",
        "flash-linear-attention": find_spec("fla") is not None,
        "machine": machine("rllib-recattn", "ray", "torch"),
        "results": results,
        "seconds of an iteration of PPO, T-Maze, 2 × 64": whole,
    }
    arguments.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
