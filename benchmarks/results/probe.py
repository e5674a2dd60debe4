"""What every model of the catalog can learn, supervised: from `rllib probe` over all of them."""

from __future__ import annotations

from matplotlib.figure import Figure

from benchmarks.results.markdown import made_by, not_measured, seeds, table
from benchmarks.results.sources import Sources
from rllib_recattn.probing.figure import draw_probe
from rllib_recattn.probing.result import ProbeResult, read_result
from rllib_recattn.probing.table import percent, score_text

CATALOG = "probe/catalog.json"
COMMAND = "python -m benchmarks.probe.catalog"


def catalog_probe_table(sources: Sources) -> str:
    """A row for each model, the best first, and a column for each task."""
    result = read_catalog_probe(sources)
    if result is None:
        return not_measured(CATALOG, COMMAND)
    rows = [["model", "parameters", *(column.heading for column in result.columns)]]
    for label in result.ranked():
        scores = [score_text(result.score(label, column)) for column in result.columns]
        rows.append([label, f"{result.models[label].parameters:,}", *scores])
    rows.append(["chance", "", *(percent(column.chance) for column in result.columns)])
    counts = [len(cells) for model in result.models.values() for cells in model.cells.values()]
    cpus = list(dict.fromkeys(machine["cpu"] for machine in result.machines))
    facts = [f"at most {result.settings.budget} updates", seeds(counts), *cpus]
    return f"{table(rows)}\n\n{made_by(CATALOG, COMMAND, *facts)}"


def draw_catalog_probe(sources: Sources) -> Figure | None:
    """The table as a heat map."""
    result = read_catalog_probe(sources)
    return None if result is None else draw_probe(result)


def read_catalog_probe(sources: Sources) -> ProbeResult | None:
    """Read the result; None if there is none."""
    return read_result(sources.benchmarks / CATALOG)
