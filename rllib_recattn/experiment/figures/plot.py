"""Learning curves as pictures: of one run, and of several beside one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rllib_recattn.experiment.figures.curves import X_METRICS, Curve, XAxis, curve_of, mean_curve
from rllib_recattn.experiment.figures.figure_style import line_look, tidy
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.metrics import metric_label
from rllib_recattn.experiment.records.trials import TrialRecord, read_trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEFAULT_METRICS = (metrics.RETURN, metrics.SUCCESS)

_FEW_POINTS = 30  # that a curve shows one by one


def plot_learning_curve(run_dir: Path, out: Path) -> Path | None:
    """Draw return and, where the environment reports it, success rate over environment steps.

    Args:
        run_dir: The directory of a run with one trial.
        out: The picture's path; its extension chooses the format.

    Returns:
        `out`, or None if the run has no results to draw.
    """
    return plot_groups({"": read_trials(run_dir)}, out, title=run_dir.name)


def plot_groups(
    groups: Mapping[str, Sequence[TrialRecord]],
    out: Path,
    *,
    wanted: Sequence[str] = DEFAULT_METRICS,
    x: XAxis = "env_steps",
    title: str = "",
) -> Path | None:
    """Draw the learning curves of groups of trials, one panel per metric.

    A group of one trial gets its line. One of several gets the mean, its 95 % bootstrap interval as a band and each
    trial as a thin line; see `mean_curve` for where the mean ends.

    Args:
        groups: Label → trials that differ in their seed.
        out: The picture's path; its extension chooses the format.
        wanted: The metrics; those that nobody has reported get no panel.
        x: Over what.
        title: What stands above.

    Returns:
        `out`, or None if there is nothing to draw.
    """
    # The object-oriented interface draws without a display and leaves pyplot's global state alone.
    from matplotlib.figure import Figure

    curves = {metric: _curves(groups, metric, x) for metric in wanted}
    shown = [metric for metric in wanted if any(curves[metric].values())]
    if not shown:
        return None
    figure = Figure(figsize=(7, 1 + 2.6 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
    for axis, metric in zip(axes, shown, strict=True):
        for index, (label, of_group) in enumerate(curves[metric].items()):
            draw_group(axis, of_group, f"{label} ({len(of_group)})" if len(of_group) > 1 else label, index)
        axis.set_ylabel(metric_label(metric))
        tidy(axis, metric)
    axes[-1].set_xlabel(metric_label(X_METRICS[x]))
    axes[-1].xaxis.set_major_formatter("{x:,.0f}")
    axes[-1].set_xlim(left=0)
    if len(groups) > 1 or any(len(trials) > 1 for trials in groups.values()):
        handles, labels = axes[0].get_legend_handles_labels()
        longest = max(map(len, labels))
        figure.legend(handles, labels, loc="outside lower center", ncols=max(1, 80 // (longest + 8)), frameon=False)
    figure.suptitle(title)
    figure.savefig(out, dpi=150)
    return out


def draw_group(axis: Axes, curves: Sequence[Curve], label: str, index: int = 0) -> None:
    """Draw the curves of one group: a line, or a mean with its band and thin lines.

    Args:
        axis: Where.
        curves: One per trial; none leaves the label to the legend.
        label: For the legend.
        index: Chooses the colour and style.
    """
    look = line_look(index)
    if not curves:
        axis.plot([], [], **look, label=label)
        return
    if len(curves) == 1:
        (curve,) = curves
        marker = "o" if len(curve.x) < _FEW_POINTS else None
        axis.plot(curve.x, curve.y, **look, linewidth=1.8, marker=marker, markersize=3.5, label=label)
        return
    for curve in curves:
        axis.plot(curve.x, curve.y, **look, linewidth=0.7, alpha=0.4)
    mean = mean_curve(curves)
    axis.plot(mean.x, mean.mean, **look, linewidth=1.8, label=label)
    axis.fill_between(mean.x, mean.low, mean.high, color=look["color"], alpha=0.18, linewidth=0)


def _curves(groups: Mapping[str, Sequence[TrialRecord]], metric: str, x: XAxis) -> dict[str, list[Curve]]:
    return {
        label: [curve for curve in (curve_of(trial, metric, x) for trial in trials) if curve is not None]
        for label, trials in groups.items()
    }
