"""Does every model of the catalog solve T-Maze: a corridor of 10 cells, PPO, one seed each.

    python -m benchmarks.tmaze.catalog [model …]

Trains tuned_examples/tmaze-10-<model>-ppo.yaml one after the other, each in a process of its own with one thread, and
writes catalog.json and catalog.png beside this file. Models that are named are trained again, the others are kept.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.training_runs import train

RESULT = Path(__file__).with_suffix(".json")
MODELS = (
    "agalite",
    "galite",
    "gtrxl",
    "linear_attention",
    "retnet",
    "gla",
    "hgrn2",
    "delta_net",
    "gated_delta_net",
    "kda",
    "mamba2",
    "mlstm",
    "rate",
    "lstm",
    "gru",
    "min_gru",
    "lru",
    "rtu",
    "ffm",
    "slstm",
    "frame_stack",
)  # all but those that cannot: memoryless
SEED = 0


def main() -> None:
    chosen = sys.argv[1:] or MODELS
    runs = kept()
    for model in chosen:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            run = pool.submit(train, f"tmaze-10-{model}-ppo", SEED).result()
        runs[model] = run
        outcome = "solved" if run["solved"] else "NOT solved"
        print(f"{model}: {outcome} after {run['env_steps']:,} steps, {run['cpu_seconds']:.0f} CPU s", flush=True)
        report = {
            "command": "python -m benchmarks.tmaze.catalog",
            "machine": {"threads_per_run": 1, **machine("rllib-recattn", "ray", "torch", "numpy")},
            "runs": {name: runs[name] for name in MODELS if name in runs},
        }
        RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    draw(report["runs"], RESULT.with_suffix(".png"))


def kept() -> dict[str, Any]:
    """Return the runs of before, each with the machine that it ran on."""
    if not RESULT.exists():
        return {}
    report = json.loads(RESULT.read_text(encoding="utf-8"))
    return {name: {"machine": report["machine"], **run} for name, run in report["runs"].items()}


def draw(runs: dict[str, Any], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Curves of so many models would be a tangle: when each has solved the task, the soonest on top.
    ordered = sorted(runs.items(), key=lambda item: (item[1]["solved"], -item[1]["env_steps"]))
    figure, axis = pyplot.subplots(figsize=(7, 0.6 + 0.26 * len(ordered)), layout="constrained")
    for row, (_, run) in enumerate(ordered):
        thousands = run["env_steps"] / 1000
        axis.hlines(row, 0, thousands, color="#99b8b4", linewidth=3)
        axis.plot(thousands, row, "o" if run["solved"] else "x", color="#0f766e", markersize=6)
        axis.annotate(
            f"{thousands:.0f}" if run["solved"] else "not solved",
            *((thousands, row), (7, 0)),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    axis.set(title="T-Maze, corridor of 10 cells, PPO, one seed each: a hint")
    axis.set(xlabel="environment steps until solved (thousands)")
    axis.set_xlim(left=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(left=False)
    figure.savefig(out, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
