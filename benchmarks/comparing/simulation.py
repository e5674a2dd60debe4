"""How often does `rllib compare` claim a difference? Of models that are equal, at most once in twenty comparisons.

    python -m benchmarks.comparing.simulation

Draws runs of models from one distribution, or one model's from another, and counts the comparisons in which any claim
is made, and any wrong one. No agent is trained: a run is the steps until it solves the task, if it does so within its
budget, and a score otherwise; the rule of stopping early is applied. The result goes to simulation.json beside this
file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from rllib_recattn.comparing import SIGNIFICANCE
from rllib_recattn.comparing.early_stop import most_steps
from rllib_recattn.comparing.outcomes import Outcome, wins
from rllib_recattn.comparing.permutation import adjusted_p_values

RESULT = Path(__file__).with_suffix(".json")
COMMAND = "python -m benchmarks.comparing.simulation"
BUDGET = 300_000.0
REPEATS = 1000

# The median of the steps until solved, of a distribution with a long tail; and the share that never solves it.
Task = tuple[float, float]
ALWAYS: Task = (100_000, 0.0)
OFTEN: Task = (200_000, 0.3)
NEVER: Task = (1e9, 1.0)
TASKS = {"all solve it": ALWAYS, "some solve it": OFTEN, "none solves it": NEVER}
SIZES = ((2, 2), (2, 3), (2, 4), (2, 5), (2, 10), (3, 3), (3, 5), (5, 5))


def draw_run(task: Task, generator: np.random.Generator) -> Outcome:
    """Draw how a run ends that is not stopped early."""
    median, never = task
    steps = median * float(np.exp(0.6 * generator.standard_normal()))
    if generator.random() < never or steps > BUDGET:
        # Scores of 200 episodes, of which some are equal.
        return Outcome(None, BUDGET, generator.binomial(200, generator.beta(8, 8)) / 200)
    return Outcome(round(steps / 4096) * 4096.0, steps + 4096, 0.97)


def stop_early(runs: dict[str, list[Outcome]], seeds: int) -> dict[str, list[Outcome]]:
    """End the runs that the rule ends, all of them having begun together."""
    limit = max(most_steps(runs, seeds), 4096.0)
    return {
        label: [
            Outcome(None, limit, run.score, True)
            if run.steps > limit and (run.solved_steps or limit + 1) > limit
            else run
            for run in of_model
        ]
        for label, of_model in runs.items()
    }


def claims(tasks: list[Task], seeds: int, generator: np.random.Generator) -> set[tuple[str, str]]:
    """Draw a comparison, and return the pairs of models of which it says that they differ."""
    runs = {str(index): [draw_run(task, generator) for _ in range(seeds)] for index, task in enumerate(tasks)}
    runs = stop_early(runs, seeds)
    table = wins([run for of_model in runs.values() for run in of_model])
    models = {label: range(seeds * index, seeds * (index + 1)) for index, label in enumerate(runs)}
    return {pair for pair, p in adjusted_p_values(table, models).items() if p < SIGNIFICANCE}


def share(wanted: Callable[[set[tuple[str, str]]], bool], tasks: list[Task], seeds: int, repeats: int) -> float:
    """Return in which share of comparisons a claim is made that is `wanted`."""
    generator = np.random.default_rng(0)
    return sum(wanted(claims(tasks, seeds, generator)) for _ in range(repeats)) / repeats


def false_claims(task: Task, models: int, seeds: int, repeats: int = REPEATS) -> float:
    """Return in which share of comparisons of equal models any difference is claimed."""
    return share(bool, [task] * models, seeds, repeats)


def main() -> None:
    equal, found, start = {}, {}, time.perf_counter()
    for models, seeds in SIZES:
        repeats = REPEATS if models < 5 else REPEATS // 2
        for name, task in TASKS.items():
            equal[f"{models} models, {seeds} seeds, {name}"] = false_claims(task, models, seeds, repeats)
            print(models, seeds, name, equal[f"{models} models, {seeds} seeds, {name}"], flush=True)
    # One model that needs a third of the steps of all others, which are equal among themselves.
    for models, seeds in SIZES:
        if seeds < 4:
            continue
        tasks = [(33_000, 0.0), *[ALWAYS] * (models - 1)]
        repeats = REPEATS // 5
        found[f"{models} models, {seeds} seeds"] = {
            "all that it is better than": share(
                lambda pairs, n=models: sum("0" in pair for pair in pairs) == n - 1, tasks, seeds, repeats
            ),
            "any false one": share(lambda pairs: any("0" not in pair for pair in pairs), tasks, seeds, repeats),
        }
        print(models, seeds, found[f"{models} models, {seeds} seeds"], flush=True)
    report = {
        "command": COMMAND,
        "machine": machine("rllib-recattn", "numpy"),
        "seconds": round(time.perf_counter() - start),
        "comparisons": f"{REPEATS:,} each, half of that with 5 models or more",
        "share of comparisons of equal models that claim a difference": equal,
        "one model needs a third of the steps: share of comparisons that say so": found,
    }
    RESULT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
