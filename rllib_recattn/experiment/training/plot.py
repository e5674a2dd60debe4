"""The learning curve of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from rllib_recattn.experiment.training import metrics
from rllib_recattn.experiment.training.metrics import read_history

_CURVES = ((metrics.RETURN, "mean episode return", "tab:blue"), (metrics.SUCCESS, "success rate", "tab:green"))


def plot_learning_curve(run_dir: Path, out: Path) -> Path | None:
    """Draw return and, where the environment reports it, success rate over environment steps.

    Args:
        run_dir: The run directory.
        out: The picture's path; its extension chooses the format.

    Returns:
        `out`, or None if the run has no results to draw.
    """
    # The object-oriented interface draws without a display and leaves pyplot's global state alone.
    from matplotlib.figure import Figure

    history = read_history(run_dir)
    curves = [curve for curve in _CURVES if curve[0] in history and history[curve[0]].notna().any()]
    if not curves:
        return None
    figure = Figure(figsize=(7, 1 + 2.6 * len(curves)), layout="constrained")
    axes = figure.subplots(len(curves), sharex=True, squeeze=False)[:, 0]
    for axis, (key, label, color) in zip(axes, curves, strict=True):
        seen = history[history[key].notna()]
        marker = "o" if len(seen) < 30 else None
        axis.plot(seen[metrics.ENV_STEPS], seen[key], color=color, linewidth=1.8, marker=marker, markersize=3.5)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if key == metrics.SUCCESS:
            axis.set_ylim(-0.02, 1.02)
    axes[-1].set_xlabel("environment steps")
    axes[-1].xaxis.set_major_formatter("{x:,.0f}")
    axes[-1].set_xlim(left=0)
    figure.suptitle(run_dir.name)
    figure.savefig(out, dpi=150)
    return out
