"""Recall, supervised: from the probe of benchmarks.memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.memory.plan import ABLATIONS
from benchmarks.results.labels import named
from benchmarks.results.markdown import NOTHING, measured_by, not_measured, percent, table
from benchmarks.results.sources import Json, Sources

PROBE = "memory/probe.json"


def probe_table(sources: Sources) -> str:
    """Updates until a model recalls, supervised; where they do not suffice, the share of right answers."""
    probe = sources.read(PROBE)
    if probe is None:
        return not_measured(PROBE, "python -m benchmarks.memory.probe")
    variants = probe["variants"]
    tasks = list(dict.fromkeys(task for outcomes in variants.values() for task in outcomes if task != "model"))
    rows = [["model", *tasks]]
    for variant, outcomes in variants.items():
        label = named(variant)
        if variant.removeprefix("agalite-") in ABLATIONS:
            label = f"AGaLiTe ({variant.removeprefix('agalite-').replace('-', ' ')})"
        rows.append([label, *(updates(outcomes.get(task, [])) for task in tasks)])
    limit, right = probe["settings"]["max_updates"], percent(probe["settings"]["right"])
    return (
        f"Median updates until {right} of the answers are right; of those that {limit} do not suffice, the "
        f"share of right answers then.\n\n{table(rows)}\n\n{measured_by(PROBE, probe)}"
    )


def updates(outcomes: Sequence[Json]) -> str:
    """Write the median updates of an outcome for each seed."""
    if not outcomes:
        return NOTHING
    solved = [outcome["updates"] for outcome in outcomes if outcome["updates"] is not None]
    if len(solved) == len(outcomes):
        return f"{statistics.median(solved):.0f}"
    share = percent(statistics.median(outcome["right"] for outcome in outcomes))
    return f"{share} right" + (f", {len(solved)} of {len(outcomes)} solved" if solved else "")
