"""What travels through RLlib: states, rows and views."""

from __future__ import annotations

from benchmarks.results.markdown import table
from benchmarks.results.sources import Sources

STATES, PACKING, VIEWS = "states/states.json", "training/packing.json", "model_v2/bytes_per_step.json"


def plumbing_table(sources: Sources) -> str:
    """What sparse states, packed rows and views spare RLlib."""
    rows = [["what", "case", "figure", "from"]]
    for result in (sources.read(STATES) or {"results": []})["results"]:
        if result["envs"] < 32 or result["state_kib"] < 56:  # where states are small, there is little to spare
            continue
        case = f"states of {result['state_kib']} KiB, {result['envs']} environments"
        shipped = result["stock_to_sparse"]["bytes_per_step"]
        figure = f"{shipped:.1f} × fewer bytes per step, sampling {result['sampling_speedup']:.2f} × as fast"
        rows.append(["sparse states", case, figure, _link(STATES)])
    for result in (sources.read(PACKING) or {"results": []})["results"]:
        if result["model"] == "agalite":
            case = f"{result['task']}, rows of {result['max_seq_len']}"
            rows.append(["packed rows", case, f"updates {result['speedup']['median']:.2f} × as fast", _link(PACKING)])
    for model, result in (sources.read(VIEWS) or {"results": {}})["results"].items():
        figure = f"{result['ratio']:.2f} × the bytes per step of RLlib's own way"
        rows.append(["views on the old API stack", model, figure, _link(VIEWS)])
    return table(rows) if len(rows) > 1 else f"Not measured yet: {STATES}, {PACKING} and {VIEWS} are missing."


def _link(place: str) -> str:
    return f"[{place.rpartition('/')[2]}](../benchmarks/{place})"
