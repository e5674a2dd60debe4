"""How many seconds until T-Maze with 20 cells is solved: AGaLiTe, with and without its kernels, and RLlib's own LSTM.

    python -m rllib_recattn.models.kernels.build
    python -m benchmarks.tmaze.wall_clock search
    python -m benchmarks.tmaze.wall_clock
    python -m benchmarks.tmaze.wall_clock others

RLlib's LSTM is as `use_lstm` makes it, behind two layers of 256, with a cell so large that the whole module has as many
parameters as AGaLiTe's. All settings of PPO are those of tuned_examples/tmaze-agalite-ppo.yaml, but for the learning
rate: "search" trains each model with each of three, on a seed of its own, and chooses the one that needs the fewest
steps. Then the contenders are trained one at a time, each in a process of its own with one thread, in an order that
changes from seed to seed. Since one seed may choose badly, "others" then trains each model with the rates that were not
chosen, on the same seeds. The seconds are those of training, without what it takes to build the algorithm. Writes
wall_clock.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.measures import summarise
from benchmarks.plain import PLAIN
from benchmarks.training_runs import experiment_of, report, train_experiment

RESULT = Path(__file__).with_suffix(".json")
COMMAND = (
    "python -m rllib_recattn.models.kernels.build; python -m benchmarks.tmaze.wall_clock search; "
    "python -m benchmarks.tmaze.wall_clock; python -m benchmarks.tmaze.wall_clock others"
)
AGALITE, PYTORCH, LSTM = "AGaLiTe", "AGaLiTe without kernels", "RLlib's LSTM"
EXAMPLES = {AGALITE: "tmaze-agalite-ppo", LSTM: "tmaze-lstm-ppo"}
# As it was when this was measured: plain, and what there is to see goes to it as it is.
CHANGES = {AGALITE: {"model": {**PLAIN, "encoder": {"type": "auto", "widths": []}}}}
LSTM_CELL_SIZE = 75  # benchmarks.training.loop works it out, and writes it down
LEARNING_RATES, SEARCH_SEED, SEEDS = (3e-4, 6e-4, 1.2e-3), 100, (0, 1, 2, 3, 4)


def train(model: str, lr: float, seed: int, kernels: bool) -> dict[str, Any]:
    """Train one agent, in a process that has not used a model before; see :func:`train_experiment`."""
    os.environ["RLLIB_RECATTN_NATIVE"] = "1" if kernels else "0"
    from rllib_recattn.models.kernels import library

    if kernels and library.kernels() is None:
        raise SystemExit("the kernels are not built: python -m rllib_recattn.models.kernels.build")
    experiment = experiment_of(EXAMPLES[model], CHANGES.get(model))
    config = {**experiment.config, "lr": lr}
    if model == LSTM:
        config["model_config"] = {**config["model_config"], "lstm_cell_size": LSTM_CELL_SIZE}
    return train_experiment(experiment.model_copy(update={"config": config}), seed)


def in_a_process(model: str, lr: float, seed: int, kernels: bool) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(train, model, lr, seed, kernels).result()


def search(result: dict[str, Any]) -> None:
    """Train each model with each learning rate, and choose one for each."""
    for model in EXAMPLES:
        runs = {}
        for lr in LEARNING_RATES:
            runs[lr] = in_a_process(model, lr, SEARCH_SEED, kernels=True)
            print(f"{model}, lr {lr}: {report(model, runs[lr])}", flush=True)
        best = min(runs, key=lambda lr: (not runs[lr]["solved"], runs[lr]["env_steps"]))
        tried = {str(lr): {key: run[key] for key in ("solved", "env_steps", "seconds")} for lr, run in runs.items()}
        result.setdefault("search", {})[model] = {"seed": SEARCH_SEED, "chosen": best, "learning_rates": tried}
        write(result)


def compare(result: dict[str, Any]) -> None:
    """Train every contender with the learning rate that was chosen for its model, on every seed."""
    contenders = [(AGALITE, AGALITE, True), (PYTORCH, AGALITE, False), (LSTM, LSTM, False)]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name, _, _ in contenders}
    for index, seed in enumerate(SEEDS):
        first = index % len(contenders)
        for name, model, kernels in contenders[first:] + contenders[:first]:
            runs[name].append(in_a_process(model, result["search"][model]["chosen"], seed, kernels))
            print(report(name, runs[name][-1]), flush=True)
        result["runs"], result["summary"] = runs, {name: summary(contender) for name, contender in runs.items()}
        result["ratios"] = {
            f"{ours} / {LSTM}, {key.replace('_', ' ')}": round(
                result["summary"][ours][key] / result["summary"][LSTM][key], 2
            )
            for ours in (AGALITE, PYTORCH)
            for key in ("median_seconds", "median_cpu_seconds", "median_env_steps", "seconds_per_1000_env_steps")
        }
        write(result)
    print(json.dumps({"summary": result["summary"], "ratios": result["ratios"]}, indent=1))


def try_others(result: dict[str, Any]) -> None:
    """Train each model with the learning rates that were not chosen for it."""
    others = result["other_learning_rates"] = {}
    for model in (LSTM, AGALITE):
        for lr in LEARNING_RATES:
            if lr == result["search"][model]["chosen"]:
                continue
            runs = []
            for seed in SEEDS:
                runs.append(in_a_process(model, lr, seed, kernels=True))
                print(f"lr {lr}: {report(model, runs[-1])}", flush=True)
            short = [
                {key: run[key] for key in ("seed", "solved", "env_steps", "seconds", "cpu_seconds")} for run in runs
            ]
            others.setdefault(model, {})[str(lr)] = {"summary": summary(runs), "runs": short}
            write(result)
    for model, rates in others.items():
        print(model, json.dumps({lr: tried["summary"] for lr, tried in rates.items()}, indent=1))


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Count and take medians; the seconds of 1,000 steps are the median over the iterations of all runs."""
    rates = [
        1000 * (now["seconds"] - before["seconds"]) / (now["env_steps"] - before["env_steps"])
        for run in runs
        for before, now in zip(run["curve"], run["curve"][1:], strict=False)
    ]
    return {**summarise(runs), "seconds_per_1000_env_steps": round(statistics.median(rates), 4)}


def write(result: dict[str, Any]) -> None:
    described = {
        "command": COMMAND,
        "machine": {"threads_per_run": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
        "lstm_cell_size": LSTM_CELL_SIZE,
    }
    RESULT.write_text(json.dumps({**described, **result}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    stored = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    if sys.argv[1:] == ["search"]:
        search({})
    elif sys.argv[1:] == ["others"] and "runs" in stored:
        try_others({key: stored[key] for key in ("search", "runs", "summary", "ratios")})
    elif not sys.argv[1:] and "search" in stored:
        compare({"search": stored["search"]})
    else:
        raise SystemExit(f"usage: {COMMAND}")


if __name__ == "__main__":
    main()
