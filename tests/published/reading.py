"""The benchmarks' JSON and what is counted of it, without the code that writes docs/results.md."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
NAMES = {
    "agalite": "AGaLiTe",
    "agalite-256": "AGaLiTe (max_timescale 256)",
    "hybrid": "Hybrid (AGaLiTe, GTrXL M = 32)",
    "gtrxl-128": "GTrXL (M = 128)",
    "gtrxl-32": "GTrXL (M = 32)",
    "gtrxl-4": "GTrXL (M = 4)",
    "gtrxl-160": "GTrXL (M = 160)",
    "gtrxl": "GTrXL",
    "lstm": "LSTM",
    "lstm-chrono": "LSTM (max_timescale 64)",
    "gru": "GRU",
    "gru-chrono": "GRU (max_timescale 64)",
    "gla": "GLA",
    "hgrn2": "HGRN2",
    "galite": "GaLiTe",
    "rate": "RATE",
    "memoryless": "no memory",
}
OTHER_NAMES = {
    "linear_attention": "Linear transformer",
    "retnet": "RetNet",
    "delta_net": "DeltaNet",
    "gated_delta_net": "Gated DeltaNet",
    "kda": "KDA",
    "mamba2": "Mamba-2",
    "mlstm": "mLSTM",
    "slstm": "sLSTM",
    "lru": "LRU",
    "rtu": "RTU",
    "min_gru": "minGRU",
    "ffm": "FFM",
    "frame_stack": "frame stack",
}
# Of the grid: where a budget ends, and how far over it a batch may go.
BUDGETS = {20: (250_000, 4096), 40: (400_000, 4096), 80: (600_000, 4096), 160: (900_000, 8192)}
GRID_MODELS = [name for name in NAMES if name not in ("gtrxl-4", "gtrxl-160", "gtrxl", "rate", "memoryless")]
WINDOWS = {("gtrxl-32", 80): "too short", ("gtrxl-4", "miniworld-memory-tmaze-long"): "too short"}
TASKS = {
    "minigrid-memory-s7": "MiniGrid-MemoryS7, seen three cells wide",
    "minigrid-memory-s13": "MiniGrid-MemoryS13",
    "miniworld-memory-tmaze": "MiniWorld MemoryTMaze",
    "miniworld-memory-tmaze-long": "MiniWorld MemoryTMaze, twice as long",
    "mystery-path-grid": "Mystery Path",
    "popgym-repeat-first-easy": "POPGym RepeatFirstEasy",
    "popgym-repeat-first-easy-appo": "POPGym RepeatFirstEasy, APPO",
    "popgym-repeat-previous-easy": "POPGym RepeatPreviousEasy",
}
KERNEL_NAMES = {"AGaLiTe": "AGaLiTe, with kernels", "AGaLiTe without kernels": "AGaLiTe"}


def read(place):
    return json.loads((BENCHMARKS / place).read_text(encoding="utf-8"))


def learning():
    """Task → model → its runs."""
    files = sorted((BENCHMARKS / "envs/learning").glob("*.json"))
    return {f.stem: {m: list(r.values()) for m, r in json.loads(f.read_text())["runs"].items()} for f in files}


def memory_runs(stage):
    """(Model, length) → its runs, by seed."""
    cells = {}
    for path in sorted((BENCHMARKS / "memory/runs" / stage).glob("*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        cells.setdefault((run["model"], run["length"]), []).append(run)
    return {key: sorted(runs, key=lambda run: run["seed"]) for key, runs in cells.items()}


def k(steps):
    return f"{steps / 1000:,.0f} k"


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def solved(runs):
    return f"{len([r for r in runs if r['solved']])} of {len(runs)}"


def solved_steps(runs):
    return median(r["env_steps"] for r in runs if r["solved"])


def more(runs):
    """What stands before a median over runs, of which too few solved the task."""
    return "" if sum(r["solved"] for r in runs) > len(runs) / 2 else "> "


def last_twenty(runs, key):
    """The mean of the last 20 iterations: by hand, and not with the package's function."""
    means = []
    for run in (r for r in runs if not r["solved"]):
        values = [p[key] for p in run["curve"]][-20:]
        values = [v for v in values if v is not None]
        if values:
            means.append(sum(values) / len(values))
    return sorted(means)


def two_or_three_digits(value):
    return f"{value:.2g} ×"


def success(run, until):
    """What a run last reported up to a step."""
    value = 0.0
    for p in run["curve"]:
        if p["env_steps"] <= until and p["success_rate"] is not None:
            value = p["success_rate"]
    return value


def middle(values):
    """The interquartile mean of at most three scores is their mean; of four or more, a quarter goes at each end."""
    cut = len(values) // 4
    kept = sorted(values)[cut : len(values) - cut]
    return sum(kept) / len(kept)


def interval(values):
    """Of two or three scores a bootstrap's 95 % reaches from the worst to the best."""
    return f" [{min(values):.2f}, {max(values):.2f}]" if len(values) > 1 else ""


def percent_less(ratio, less, other):
    change = round(100 * (1 - ratio), 6)
    return f"{math.floor(change)} % {less}" if change >= 0 else f"{-change:.0f} % {other}"


def verdict(true, good="reproduced", bad="refuted"):
    return f"**{good if all(true) else 'in part' if any(true) else bad}**"
