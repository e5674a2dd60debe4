"""What an acting step costs by context, with the optional kernels and without: AGaLiTe beside GTrXL."""

from __future__ import annotations

from benchmarks.results.markdown import measured_by, not_measured, table
from benchmarks.results.sources import Json, Sources

CONTEXT = "models/context.json"
AGALITE, SIZE, MEMORY = "AGaLiTe", "4 × 128", "GTrXL, M = 128"  # at the size and the M that the paper compares


def ratios_with_kernels(context: Json | None) -> dict[str, float]:
    """Return AGaLiTe's acting time in multiples of GTrXL's by batch, each with the optional kernels that there are."""
    if context is None:
        return {}
    of_gtrxl = context["results"][SIZE]["AGaLiTe of GTrXL's"]["acting_ms"]["kernels"]
    return {batch.replace("=", " = "): ratios[MEMORY] for batch, ratios in of_gtrxl.items()}


def context_table(sources: Sources) -> str:
    """AGaLiTe's acting time and state in multiples of GTrXL's, by what M is."""
    context = sources.read(CONTEXT)
    if context is None:
        return not_measured(CONTEXT, "python -m benchmarks.models.context")
    rows: list[list[str]] = []
    for size, result in context["results"].items():
        ratios = result["AGaLiTe of GTrXL's"]
        names = list(ratios["state_bytes"])
        if not rows:
            rows.append(["AGaLiTe's, in multiples of", *names])
        for path, by_batch in ratios["acting_ms"].items():
            for batch, of_gtrxl in by_batch.items():
                what = f"{size}, acting, {batch.replace('=', ' = ')}, {path}"
                rows.append([what, *(f"{of_gtrxl[name]:.2g} ×" for name in names)])
        rows.append([f"{size}, state", *(f"{ratios['state_bytes'][name]:.2g} ×" for name in names)])
    return f"{table(rows)}\n\n{measured_by(CONTEXT, context)}"
