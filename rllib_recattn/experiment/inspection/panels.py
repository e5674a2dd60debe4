"""The panels of an inspection's picture; all have the step under way on their horizontal axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from rllib_recattn.experiment.figures.figure_style import COLOURS
from rllib_recattn.experiment.inspection.inspect import Inspection
from rllib_recattn.experiment.inspection.memory import BLOCK_GATE, Gates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

CUE_COLOUR, LINE_COLOUR, PROBE_COLOUR = COLOURS[1], COLOURS[0], COLOURS[2]
MAP_COLOURS = "cividis"

_DECADES = 1e-3
_MANY_STEPS = 60
_PART_STYLES = ("-", "--", ":", "-.")
_GATE_TITLES = {
    "γ": "γ: how far the gates of the keys are open",
    "β": "β: how far the gates of the values are open",
    "1 − α": "1 − α: share of the memory that a step forgets",
    "1 − f": "1 − f: share of the memory that a step forgets",
    "1 − z": "1 − z: share of the state that a step forgets",
    "1 − γ": "1 − γ: share of the memory that a step forgets",
    "k / z": "k / z: share of what is read that a step replaces",
    BLOCK_GATE: "u: share of a block's output that comes from its sublayer",
}


def marker(n_points: int) -> str | None:
    """Return how single points are marked, where there are few."""
    return "o" if n_points <= _MANY_STEPS else None


def cue_curve(axis: Axes, inspection: Inspection) -> None:
    """Draw how far another cue would move each step's output."""
    found = inspection.counterfactual
    moved = found.of(inspection.cue_step)
    axis.plot(moved, color=CUE_COLOUR, marker=marker(len(moved)), markersize=4, linewidth=1.8)
    axis.set_ylim(bottom=0, top=1.03 if found.is_bounded else None)
    axis.set_ylabel(distance_label(inspection))
    axis.set_title(
        f"How far another cue, the observation of step {inspection.cue_step}, would move each {inspection.of}"
    )


def distance_label(inspection: Inspection) -> str:
    """Name on an axis how far outputs move; its full name has no room there."""
    return inspection.counterfactual.measure.partition(" of the component")[0]


def counterfactual_map(axis: Axes, inspection: Inspection) -> AxesImage:
    """Draw how far each step's output would move if each observation had been another one."""
    found = inspection.counterfactual
    moved = found.moved[_standing_for(found.steps, len(inspection))]
    is_past = np.arange(len(inspection))[:, None] <= np.arange(len(inspection))
    high = 1.0 if found.is_bounded else max(float(np.nanmax(found.moved)), 1e-12)
    image = _past_map(axis, np.where(is_past, moved, np.nan), Normalize(0, high))
    _mark_observations(axis, inspection)
    axis.set_title(f"How far another observation would move each {inspection.of} from then on")
    return image


def decoding_curve(axis: Axes, inspection: Inspection) -> None:
    """Draw how well a probe reads the cue from the state."""
    decoding = inspection.decoding
    assert decoding is not None
    accuracy = decoding.accuracy
    axis.axhline(decoding.chance, color="0.5", linestyle="--", linewidth=1, label="chance")
    axis.fill_between(
        decoding.steps,
        np.array([interval.low for interval in accuracy], dtype=float),
        np.array([interval.high for interval in accuracy], dtype=float),
        color=PROBE_COLOUR,
        alpha=0.2,
        linewidth=0,
    )
    axis.plot(
        decoding.steps,
        [interval.mean for interval in accuracy],
        color=PROBE_COLOUR,
        marker=marker(len(decoding.steps)),
        markersize=4,
        linewidth=1.8,
        label="probe, 95 % interval",
    )
    axis.set_ylim(min(0.45, decoding.chance - 0.1), 1.03)
    axis.set_ylabel("accuracy")
    axis.set_title(
        f"How well a linear probe reads the cue from the state: {decoding.n_episodes[0]} episodes, "
        f"{decoding.n_classes} cues"
    )


def sensitivity_map(axis: Axes, inspection: Inspection) -> AxesImage:
    """Draw the gradient of each step's output with respect to each observation."""
    norms = inspection.sensitivity[_standing_for(inspection.steps, len(inspection))].T
    is_past = (
        np.arange(len(inspection))[:, None]
        <= np.asarray(inspection.steps)[_standing_for(inspection.steps, len(inspection))]
    )
    high = max(norms.max(), 1e-12)
    image = _past_map(axis, np.where(is_past, norms, np.nan), LogNorm(high * _DECADES, high, clip=True))
    _mark_observations(axis, inspection)
    caveat = "" if inspection.of == "value" else ", and small where all is decided"
    axis.set_title(f"Gradient of the {inspection.of} by each observation: of small changes alone{caveat}")
    return image


def _standing_for(steps: Sequence[int], n_steps: int) -> np.ndarray:
    """Return which of some steps stands for each step of a long episode: the last one before it [T]."""
    return np.maximum(np.searchsorted(np.asarray(steps), np.arange(n_steps), side="right") - 1, 0)


def _mark_observations(axis: Axes, inspection: Inspection) -> None:
    axis.axhline(inspection.cue_step, color=CUE_COLOUR, linewidth=1, linestyle=":")
    axis.set_ylabel("observation of step")
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))


def attention_map(axis: Axes, inspection: Inspection, layer: str) -> AxesImage:
    """Draw which steps a layer attends to, the mean over its heads."""
    probabilities = inspection.memory.attention[layer].mean(axis=1)
    n_steps, n_ages = probabilities.shape
    by_step = np.full((n_steps, n_steps), np.nan)
    for step, of_step in enumerate(probabilities):
        n_past = min(step + 1, n_ages)
        by_step[step - n_past + 1 : step + 1, step] = of_step[:n_past][::-1]
    image = _past_map(axis, by_step, LogNorm(1e-3, 1, clip=True))
    axis.axhline(inspection.cue_step, color=CUE_COLOUR, linewidth=1, linestyle=":")
    axis.set_ylabel("attended step")
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.set_title(f"Attention of {layer}, the mean over its heads")
    return image


def _past_map(axis: Axes, values: np.ndarray, norm: Normalize) -> AxesImage:
    axis.set_facecolor("0.95")
    axis.grid(visible=False)
    return axis.imshow(values, origin="lower", aspect="auto", interpolation="nearest", cmap=MAP_COLOURS, norm=norm)


def gate_map(axis: Axes, gates: Gates) -> AxesImage:
    """Draw gates, a row for each head or group of a head's features."""
    n_heads, n_groups, n_steps = gates.values.shape
    low, high = gates.values.min(), gates.values.max()
    # A colour scale of at least one octave: noise is no pattern.
    norm = (
        Normalize(0, 1)
        if gates.name == BLOCK_GATE
        else LogNorm(max(min(low, high / 2), 1e-5), max(high, 2e-5), clip=True)
    )
    image = axis.imshow(
        gates.values.reshape(-1, n_steps), aspect="auto", interpolation="nearest", cmap=MAP_COLOURS, norm=norm
    )
    axis.grid(visible=False)
    for edge in range(1, n_heads):
        axis.axhline(edge * n_groups - 0.5, color="white", linewidth=1.5)
    shown = range(0, n_heads, -(-n_heads // 16))
    axis.set_yticks([(head + 0.5) * n_groups - 0.5 for head in shown], [gates.heads[head] for head in shown])
    axis.tick_params(axis="y", labelsize="x-small", length=0)
    title = _GATE_TITLES.get(gates.name, gates.name)
    axis.set_title(f"{title}, from the slow features of a head to the fast" if n_groups > 1 else title)
    return image


def state_norms(axis: Axes, inspection: Inspection) -> None:
    """Draw the size of each part of the state: a colour for each layer, a style for each part."""
    norms = inspection.memory.state_norms
    layers, parts = (list(dict.fromkeys(names)) for names in zip(*norms, strict=True))
    for (layer, part), values in norms.items():
        axis.plot(
            values,
            color=COLOURS[layers.index(layer) % len(COLOURS)],
            linestyle=_PART_STYLES[parts.index(part) % len(_PART_STYLES)],
            linewidth=1.6,
            label=f"{layer}, {part}",
        )
    if max(map(np.max, norms.values())) > 30 * max(1e-9, min(np.max(values) for values in norms.values())):
        axis.set_yscale("log")
    axis.set_ylabel("norm")
    axis.set_title("Euclidean norm of the state after each step")


def actions(axis: Axes, inspection: Inspection) -> None:
    """Draw the probability of each action, or the entropy where actions are not few."""
    probabilities = inspection.probabilities
    steps = np.arange(len(inspection))
    if probabilities is None or probabilities.shape[1] > len(COLOURS):
        axis.plot(steps, inspection.entropy, color=LINE_COLOUR, marker=marker(len(steps)), markersize=4)
        axis.set_ylabel("nats")
        axis.set_title("Entropy of the actions")
        return
    for action, of_action in enumerate(probabilities.T):
        axis.plot(
            steps,
            of_action,
            color=COLOURS[action],
            marker=marker(len(steps)),
            markersize=3.5,
            linewidth=1.5,
            label=f"action {action}",
        )
    entropy = inspection.entropy / np.log(probabilities.shape[1])
    axis.plot(steps, entropy, color="0.55", linestyle="--", linewidth=1.2, label="entropy, of its maximum")
    axis.set_ylim(-0.03, 1.03)
    axis.set_ylabel("probability")
    axis.set_title("Actions")


def rewards(axis: Axes, inspection: Inspection) -> None:
    """Draw the rewards, and the value where there is one."""
    steps = np.arange(len(inspection))
    axis.bar(steps, inspection.recording.rewards, color=LINE_COLOUR, width=0.8, label="reward")
    if inspection.values is not None:
        axis.plot(steps, inspection.values, color=CUE_COLOUR, linewidth=1.5, label="value")
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.set_ylabel("reward")
    axis.set_title("Rewards, and what the agent expects of them")
