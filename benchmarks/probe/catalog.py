"""What every model of the catalog can learn, supervised, at equal parameters: `rllib probe`, one seed.

    python -m benchmarks.probe.catalog

Writes catalog.json beside this file, after each model and task. What it holds already is not run again, so that a model
that joins the catalog is added by the same command. Half a minute to two minutes for each on one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rllib_recattn as ra
from rllib_recattn.probing import BUDGET, PARAMETERS
from rllib_recattn.probing.plan import plan_probe
from rllib_recattn.probing.probe import run_cell

RESULT = Path(__file__).with_suffix(".json")
SEEDS = 1
# Of those whose published layers have no short convolution, or one that our default leaves out: what it does.
WITH_AND_WITHOUT = ("agalite", "galite", "gla", "hgrn2")
LAST = ("galite",)  # takes the longest


def models() -> list[str | dict[str, Any]]:
    """Return the models, those with and without a short convolution beside each other."""
    names = sorted((info.name for info in ra.list_models()), key=LAST.__contains__)
    return [
        model
        for name in names
        for model in ([{"name": name, "conv_size": size} for size in (0, 4)] if name in WITH_AND_WITHOUT else [name])
    ]


def main() -> None:
    plan = plan_probe(models(), tasks=None, budget=BUDGET, seeds=SEEDS, parameters=PARAMETERS, path=RESULT)
    for planned in plan.cells:
        cell = run_cell(plan, planned)
        print(planned.label, planned.task.name, cell.updates, cell.right, cell.cpu_seconds, flush=True)


if __name__ == "__main__":
    main()
