"""The colour of each model in the figures of benchmarks."""

from __future__ import annotations

COLOURS = {
    "AGaLiTe": "#0f766e",
    "GTrXL": "#7c3aed",
    "LSTM": "#c2410c",
    "GRU": "#64748b",
    "GLA": "#2563eb",
    "HGRN2": "#db2777",
    "RATE": "#a16207",
    "GaLiTe": "#65a30d",
    "Hybrid": "#0891b2",
}


def colour_of(label: str) -> str:
    """Return the colour of a model whose label begins with a name of `COLOURS`, as in "GTrXL, M = 128"."""
    return COLOURS[label.split(",")[0].split(" ")[0]]
