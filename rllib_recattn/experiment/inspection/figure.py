"""The picture of a memory: panels above one another, over the steps of an episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from rllib_recattn.experiment.inspection import panels
from rllib_recattn.experiment.inspection.inspect import Inspection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_WIDTH, _DPI = 10.0, 120
_STRIP_WIDTH = 9.6
_MAIN_WIDTH = 0.8  # of panels; their keys have the rest
_MAX_ATTENTION_LAYERS = 4


@dataclass(frozen=True)
class _Panel:
    """A panel: how it is drawn, how many inches high it is, and what its colours mean, if it has a colour bar."""

    draw: Callable[..., Any]
    height: float
    colours: str = ""


def draw_inspection(inspection: Inspection, out: Path) -> None:
    """Draw an inspection.

    Args:
        inspection: What to draw; panels for which it has nothing are left out.
        out: The picture's path; its extension chooses the format.
    """
    shown = _panels(inspection)
    strip = _strip_height(inspection)
    heights = ([strip] if strip else []) + [panel.height for panel in shown]
    with rc_context({"axes.titlesize": "medium", "axes.titlelocation": "left", "axes.labelsize": "small"}):
        figure = Figure(figsize=(_WIDTH, 1.0 + sum(heights) + 0.42 * len(heights)), layout="constrained")
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[_MAIN_WIDTH, 1 - _MAIN_WIDTH])
        first = None
        for row, panel in enumerate(shown, start=len(heights) - len(shown)):
            axis = figure.add_subplot(grid[row, 0], sharex=first)
            first = first or axis
            axis.tick_params(labelsize="small", labelbottom=panel is shown[-1])
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
            _draw_key(figure.add_subplot(grid[row, 1]), axis, panel.draw(axis), panel.colours)
        assert first is not None
        first.set_xlim(-0.5, len(inspection) - 0.5)
        first.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        axis.set_xlabel("step")
        if strip:
            _draw_strip(figure, grid[0, :], inspection)
        figure.suptitle(headline(inspection), fontsize="large", fontweight="bold")
        figure.savefig(out, dpi=_DPI)


def _draw_key(side: Axes, axis: Axes, image: AxesImage | None, colours: str) -> None:
    """Say beside a panel what its lines are, or its colours."""
    side.axis("off")
    if image is not None:
        # In a place of its own: panels with and without a colour bar are to be equally wide.
        bar = axis.figure.colorbar(image, cax=side.inset_axes((0.0, 0.0, 0.09, 1.0)))
        if isinstance(image.norm, LogNorm):
            low, high = image.get_clim()
            few_decades = low is not None and high is not None and high < 100 * low
            bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
            bar.ax.yaxis.set_major_formatter("{x:g}")
            bar.ax.yaxis.set_minor_formatter("")
        bar.set_label(colours, fontsize="x-small")
        bar.ax.tick_params(labelsize="x-small", which="both")
        return
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        side.legend(handles, labels, frameon=False, fontsize="x-small", loc="upper left", borderaxespad=0)


def headline(inspection: Inspection) -> str:
    """Say in two lines what was inspected and how the episode went."""
    outcome = {True: ", success", False: ", failure", None: ""}[inspection.recording.success]
    total = float(np.sum(inspection.recording.rewards))
    return (
        f"What {inspection.model} remembers in {inspection.env}\n"
        f"seed {inspection.seed}, {len(inspection)} steps, return {total:.2f}{outcome}"
    )


def _panels(inspection: Inspection) -> list[_Panel]:
    memory = inspection.memory
    shown = [
        _Panel(partial(panels.cue_curve, inspection=inspection), 1.4),
        _Panel(partial(panels.counterfactual_map, inspection=inspection), 2.4, panels.distance_label(inspection)),
    ]
    if inspection.decoding is not None and inspection.decoding.steps:
        shown.append(_Panel(partial(panels.decoding_curve, inspection=inspection), 1.3))
    shown.append(_Panel(partial(panels.sensitivity_map, inspection=inspection), 2.4, "norm of the gradient"))
    shown += [
        _Panel(partial(panels.attention_map, inspection=inspection, layer=layer), 1.8, "probability")
        for layer in list(memory.attention)[:_MAX_ATTENTION_LAYERS]
    ]
    shown += [
        _Panel(
            partial(panels.gate_map, gates=gates),
            0.4 + 0.1 * min(20, gates.values.shape[0] * gates.values.shape[1]),
            "share",
        )
        for gates in memory.gates
    ]
    if memory.state_norms:
        shown.append(_Panel(partial(panels.state_norms, inspection=inspection), 1.4))
    shown.append(_Panel(partial(panels.actions, inspection=inspection), 1.4))
    shown.append(_Panel(partial(panels.rewards, inspection=inspection), 1.1))
    return shown


def _strip_height(inspection: Inspection) -> float:
    """Return the height in inches of the strip of frames, 0 if there are no pictures."""
    pictures = inspection.pictures
    if not pictures:
        return 0.0
    height, width = pictures[0].shape[:2]
    return _STRIP_WIDTH / _strip_length(inspection) * height / width + 0.1


def _strip_length(inspection: Inspection) -> int:
    height, width = inspection.pictures[0].shape[:2]
    return min(len(inspection.pictures), 4 if width > 2 * height else 8)


def _draw_strip(figure: Figure, place: Any, inspection: Inspection) -> None:
    pictures = inspection.pictures
    n_shown = _strip_length(inspection)
    grid = place.subgridspec(1, n_shown, wspace=0.03)
    for column, index in enumerate(np.linspace(0, len(pictures) - 1, n_shown).round().astype(int)):
        axis = figure.add_subplot(grid[column])
        axis.imshow(pictures[index])
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title(f"step {index}" if index < len(inspection) else "the end", fontsize="x-small", pad=2)
