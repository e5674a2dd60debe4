"""How figures look: colours that the colour-blind can tell apart, quiet axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""The colours of Okabe and Ito, without the yellow that white swallows."""

_LINE_STYLES = ("-", "--", ":", "-.")


def line_look(index: int) -> dict[str, Any]:
    """Return the colour and style of the line with this index: more lines than colours differ in style."""
    style = _LINE_STYLES[index // len(COLOURS) % len(_LINE_STYLES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": style}


def tidy(axis: Axes, metric: str) -> None:
    """Draw no more of an axis than is needed, with a metric going up; a rate gets its whole range."""
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    if metric.rpartition("/")[2] == "success_rate":
        axis.set_ylim(-0.02, 1.02)
