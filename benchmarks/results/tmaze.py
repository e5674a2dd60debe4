"""T-Maze: AGaLiTe beside RLlib's own LSTM with one learning rate, and the whole catalog."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measures import median_of_all, solved_of
from benchmarks.results.labels import named
from benchmarks.results.markdown import NOTHING, measured_by, not_measured, steps, table
from benchmarks.results.sources import Json, Sources

BESIDE_LSTM, CATALOG = "tmaze/learning.json", "tmaze/catalog.json"


def beside_rllib_table(sources: Sources) -> str:
    """AGaLiTe and RLlib's own LSTM on two corridors, trained side by side."""
    content = sources.read(BESIDE_LSTM)
    if content is None:
        return not_measured(BESIDE_LSTM, "python -m benchmarks.tmaze.learning")
    rows = [["corridor", "model", "solved", "env steps (median)", "seconds (median)"]]
    for length, corridor in content["tasks"].items():
        for model, runs in corridor["runs"].items():
            rows.append([f"{length} cells", model, solved_of(runs), *medians(runs)])
    return f"{table(rows)}\n\n{measured_by(BESIDE_LSTM, content)}"


def medians(runs: Sequence[Json]) -> list[str]:
    """Write the median steps and seconds of all runs, as bounds where that is what they are."""
    (env_steps, is_bound), (seconds, _) = median_of_all(runs), median_of_all(runs, "seconds")
    more = "> " if is_bound else ""
    return [f"{more}{steps(env_steps)}", f"{more}{seconds:.0f}"]


def catalog_table(sources: Sources) -> str:
    """Every model of the catalog on a T-Maze of 10 cells."""
    catalog = sources.read(CATALOG)
    if catalog is None:
        return not_measured(CATALOG, "python -m benchmarks.tmaze.catalog")
    soonest = sorted(catalog["runs"].items(), key=lambda item: (not item[1]["solved"], item[1]["env_steps"]))
    rows = [["model", "steps until solved"], *([named(model), _steps_of(run)] for model, run in soonest)]
    return f"{table(rows)}\n\n{measured_by(CATALOG, catalog)}"


def _steps_of(run: Json) -> str:
    return steps(run["env_steps"]) if run["solved"] else NOTHING
