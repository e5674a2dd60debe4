"""The moving picture of a memory: frames of an episode, and how far other observations would move what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rllib_recattn.experiment.evaluation.video import VideoRecorder
from rllib_recattn.experiment.inspection import panels
from rllib_recattn.experiment.inspection.figure import headline
from rllib_recattn.experiment.inspection.inspect import Inspection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _DPI = 6.4, 80
_MAX_FRAMES_PER_SECOND = 4.0  # so that there is time to read


def animate_inspection(inspection: Inspection, recorder: VideoRecorder) -> None:
    """Write a video with a frame for each step that was differentiated.

    Args:
        inspection: What to draw.
        recorder: Writes it.
    """
    pictures = inspection.pictures
    picture_height = _WIDTH * pictures[0].shape[0] / pictures[0].shape[1] if pictures else 0.0
    picture_height = min(picture_height, 3.6)
    figure = Figure(figsize=(_WIDTH, 4.6 + picture_height), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    heights = ([picture_height] if pictures else []) + [1.5, 1.5]
    axes = list(figure.subplots(len(heights), 1, height_ratios=heights))
    figure.suptitle(headline(inspection), fontsize="medium", fontweight="bold")
    recorder.recording = True
    for index in range(len(inspection.steps)):
        for axis in axes:
            axis.clear()
        if pictures:
            _draw_picture(axes[0], inspection, index)
        _draw_debts(axes[-2], inspection, index)
        _draw_curve(axes[-1], inspection, index)
        canvas.draw()
        # To lay a figure out takes longer than to draw it, and nothing is to move from frame to frame.
        figure.set_layout_engine("none")
        recorder.add(lambda: np.asarray(canvas.buffer_rgba())[..., :3].copy())
    recorder.save(min(inspection.frames_per_second, _MAX_FRAMES_PER_SECOND))


def _draw_picture(axis: Axes, inspection: Inspection, index: int) -> None:
    axis.imshow(inspection.pictures[inspection.steps[index]])
    axis.axis("off")


def _draw_debts(axis: Axes, inspection: Inspection, index: int) -> None:
    """Draw how far the present output would move if each observation so far had been another one."""
    step, found = inspection.steps[index], inspection.counterfactual
    past = [s for s in found.steps if s <= step]
    colours = [panels.CUE_COLOUR if s == inspection.cue_step else panels.LINE_COLOUR for s in past]
    axis.bar(past, found.moved[: len(past), step], color=colours, width=0.85)
    axis.set_xlim(-0.6, len(inspection) - 0.4)
    axis.set_ylim(0, _top(inspection))
    axis.set_xlabel("observation of step", fontsize="small")
    axis.set_ylabel(panels.distance_label(inspection), fontsize="small")
    axis.set_title(
        f"{_now(inspection, step)}: how far another observation would move it", loc="left", fontsize="medium"
    )
    _tidy(axis)


def _now(inspection: Inspection, step: int) -> str:
    """Name the output of a step."""
    if inspection.of == "value" and inspection.values is not None:
        return f"Step {step}, value {inspection.values[step]:.2f}"
    if inspection.probabilities is None:
        return f"Step {step}, its action"
    action = int(np.asarray(inspection.recording.actions)[step])
    probability = inspection.probabilities[step, action]
    return f"Step {step}, action {action} (p = {probability:.2f})"


def _draw_curve(axis: Axes, inspection: Inspection, index: int) -> None:
    """Draw how far another cue would move the outputs so far."""
    step, moved = inspection.steps[index], inspection.counterfactual.of(inspection.cue_step)
    axis.plot(moved, color="0.85", linewidth=1.2)
    axis.plot(moved[: step + 1], color=panels.CUE_COLOUR, linewidth=1.8)
    axis.plot(step, moved[step], "o", color=panels.CUE_COLOUR)
    axis.set_xlim(-0.6, len(inspection) - 0.4)
    axis.set_ylim(0, _top(inspection))
    axis.set_xlabel("step", fontsize="small")
    axis.set_ylabel(panels.distance_label(inspection), fontsize="small")
    cue = f"another cue, the observation of step {inspection.cue_step}, would move it"
    axis.set_title(f"How far {cue}", loc="left", fontsize="medium")
    _tidy(axis)


def _top(inspection: Inspection) -> float:
    """Return where the axis of distances ends."""
    found = inspection.counterfactual
    return 1.03 if found.is_bounded else max(float(np.nanmax(found.moved)), 1e-9) * 1.05


def _tidy(axis: Axes) -> None:
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize="x-small")
    axis.xaxis.set_major_locator(MaxNLocator(11, integer=True))
