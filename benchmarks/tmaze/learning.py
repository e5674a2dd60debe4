"""How soon does an agent solve T-Maze: AGaLiTe beside RLlib's own LSTM, three seeds each, same PPO settings.

    python -m benchmarks.tmaze.learning

For each corridor length and seed the two agents train at the same time, each in a process of its own with one
thread, so that whatever else the machine does slows both. Writes learning.json, and a figure for each length.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "tuned_examples"
SEEDS = (0, 1, 2)
# Corridor length → the examples to compare.
TASKS = {
    20: {"AGaLiTe": "tmaze-agalite-ppo", "RLlib's LSTM": "tmaze-lstm-ppo"},
    60: {"AGaLiTe": "tmaze-60-agalite-ppo", "RLlib's LSTM": "tmaze-60-lstm-ppo"},
}
COLOURS = {"AGaLiTe": "#0f766e", "RLlib's LSTM": "#c2410c"}
SOLVED = "env_runners/success_rate"
BUDGET = "num_env_steps_sampled_lifetime"


def train(example: str, seed: int) -> dict[str, Any]:
    """Train one agent until it has solved the task or used up its steps; returns its learning curve."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from rllib_recattn.experiment.algorithm.build import build_config
    from rllib_recattn.experiment.definition.load import load_experiment

    torch.set_num_threads(1)
    experiment = load_experiment(EXAMPLES / f"{example}.yaml")
    algorithm = build_config(experiment).debugging(seed=seed, log_level="ERROR").build_algo()
    curve, solved = [], False
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        while not solved and (not curve or curve[-1]["env_steps"] < experiment.stop[BUDGET]):
            result = algorithm.train()
            episodes = result["env_runners"]
            curve.append(
                {
                    "env_steps": int(result[BUDGET]),
                    "seconds": round(time.perf_counter() - start, 2),
                    "cpu_seconds": round(time.process_time() - cpu_start, 2),
                    "return": _rounded(episodes.get("episode_return_mean")),
                    "success_rate": _rounded(episodes.get("success_rate")),
                }
            )
            solved = bool(episodes.get("success_rate", 0) >= experiment.stop[SOLVED])
    finally:
        algorithm.stop()
    return {"example": example, "seed": seed, "solved": solved, **curve[-1], "curve": curve}


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), 4)


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "solved": f"{sum(run['solved'] for run in runs)} of {len(runs)}",
        **{
            f"median_{key}": statistics.median(run[key] for run in runs)
            for key in ("env_steps", "seconds", "cpu_seconds")
        },
    }


def main() -> None:
    lengths = [int(argument) for argument in sys.argv[1:]] or list(TASKS)
    path = HERE / "learning.json"
    tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"] if path.exists() else {}
    for length in lengths:
        runs: dict[str, list[dict[str, Any]]] = {model: [] for model in TASKS[length]}
        for seed in SEEDS:
            for model, run in train_side_by_side(TASKS[length], seed).items():
                runs[model].append(run)
                outcome = "solved" if run["solved"] else "unsolved"
                print(
                    f"L = {length}, seed {seed}, {model}: {outcome} after {run['env_steps']:,} steps, "
                    f"{run['seconds']:.0f} s",
                    flush=True,
                )
            # Written after each seed: the whole takes three quarters of an hour.
            summary = {model: summarise(model_runs) for model, model_runs in runs.items()}
            tasks[str(length)] = {"summary": summary, "runs": runs}
            report = {
                "command": "python -m benchmarks.tmaze.learning",
                "machine": {"threads_per_run": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
                "tasks": tasks,
            }
            path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            draw(length, runs, HERE / f"learning-{length}.png")
        print(json.dumps(summary, indent=1, ensure_ascii=False), flush=True)


def train_side_by_side(examples: dict[str, str], seed: int) -> dict[str, dict[str, Any]]:
    """Train all models at the same time; returns each one's run."""
    with ProcessPoolExecutor(len(examples), mp_context=get_context("spawn")) as pool:
        futures = {model: pool.submit(train, example, seed) for model, example in examples.items()}
        return {model: future.result() for model, future in futures.items()}


def draw(length: int, runs: dict[str, list[dict[str, Any]]], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    for axis, (key, label, scale) in zip(
        axes, (("env_steps", "environment steps (thousands)", 1e-3), ("seconds", "seconds of training", 1)), strict=True
    ):
        for model, model_runs in runs.items():
            for index, run in enumerate(model_runs):
                points = [point for point in run["curve"] if point["success_rate"] is not None]
                axis.plot(
                    [point[key] * scale for point in points],
                    [point["success_rate"] for point in points],
                    color=COLOURS[model],
                    linewidth=1.4,
                    alpha=0.9,
                    label=model if index == 0 else None,
                )
                if run["solved"]:
                    axis.plot(run[key] * scale, run["success_rate"], "o", color=COLOURS[model], markersize=5)
        axis.axhline(0.5, color="#64748b", linewidth=1, linestyle=":", label="without memory")
        axis.set_xlabel(label)
        axis.set_ylim(-0.02, 1.04)
        axis.set_xlim(left=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("success rate")
    axes[1].legend(frameon=False, loc="lower right")
    figure.suptitle(f"T-Maze, corridor of {length} cells, PPO, three seeds each")
    figure.savefig(out, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
