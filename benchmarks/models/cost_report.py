"""The figure and the README's table of what each model costs, from cost.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.palette import COLOURS
from benchmarks.readme import write_between

BEGIN, END = "<!-- costs: written by benchmarks/models/cost.py -->", "<!-- end of costs -->"
MARKERS = "osD^v"


def table(report: dict[str, Any]) -> str:
    """Return the table in Markdown: each model's costs as multiples of AGaLiTe's, whose own are absolute."""
    models = report["models"]
    reference = models["AGaLiTe"]
    columns = [
        ("acting, 1 agent", lambda m: m["acting_ms"]["B=1"], "{:.2f} ms"),
        ("acting, 32 agents", lambda m: m["acting_ms"]["B=32"], "{:.2f} ms"),
        ("training, 1,024 tokens", lambda m: m["training_ms_per_1024_tokens"]["B=8, T=128"], "{:.0f} ms"),
        ("peak memory of training", lambda m: m["training_peak_memory_bytes"] / 2**20, "{:.0f} MiB"),
        ("state", lambda m: m["state_bytes"] / 2**10, "{:.0f} KiB"),
        ("parameters", lambda m: m["parameters"] / 1e6, "{:.2f} M"),
    ]
    lines = [
        "| model | " + " | ".join(title for title, _, _ in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for label, costs in models.items():
        cells = [
            unit.format(value(costs)) + ("" if costs is reference else f" ({value(costs) / value(reference):.2g} ×)")
            for _, value, unit in columns
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_table(report: dict[str, Any]) -> None:
    """Put the table between its marks in the project's README."""
    write_between((BEGIN, END), table(report))


def draw(report: dict[str, Any], out: Path) -> None:
    """Draw acting time over agents, and acting time and state over context."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (acting, growth, state) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    shades: dict[str, int] = {}
    for label, costs in report["models"].items():
        family = label.split(",")[0]
        shade = shades[family] = shades.get(family, -1) + 1
        batches = [int(name.removeprefix("B=")) for name in costs["acting_ms"]]
        acting.plot(
            batches,
            list(costs["acting_ms"].values()),
            marker=MARKERS[shade],
            markersize=4,
            color=COLOURS[family],
            linestyle=("-", "--", ":", "-.")[shade],
            label=label,
        )
    acting.set(title="acting: one step", xlabel="agents in the batch", ylabel="milliseconds")
    for label, costs in report["growth"]["models"].items():
        colour = COLOURS[label.split(",")[0]]
        contexts = [int(context) for context in costs["acting_ms"]]
        growth.plot(contexts, list(costs["acting_ms"].values()), "o-", color=colour, markersize=4, label=label)
        state.plot(contexts, [b / 1024 for b in costs["state_bytes"].values()], "o-", color=colour, markersize=4)
    agents = report["growth"]["batch"]
    growth.set(title=f"acting: one step, {agents} agents", xlabel="steps lived, or M", ylabel="milliseconds")
    state.set(title="state of one agent", xlabel="steps lived, or M", ylabel="KiB")
    for axis in (acting, growth, state):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    acting.legend(frameon=False, fontsize=8)
    growth.legend(frameon=False, fontsize=8)
    figure.savefig(out, dpi=130)
    pyplot.close(figure)
