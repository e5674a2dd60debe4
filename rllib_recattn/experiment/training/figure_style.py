"""How figures look: colours that the colour-blind can tell apart, quiet axes, words for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rllib_recattn.experiment.training import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""The colours of Okabe and Ito, without the yellow that white swallows."""

_LINE_STYLES = ("-", "--", ":", "-.")
_METRIC_LABELS = {
    metrics.RETURN: "mean episode return",
    metrics.SUCCESS: "success rate",
    metrics.ENV_STEPS: "environment steps",
    metrics.ITERATION: "iteration",
    metrics.SECONDS: "seconds of training",
}


def metric_label(metric: str) -> str:
    """Write a metric's name for people."""
    if metric.startswith("evaluation/"):
        return f"{metric_label(metric.removeprefix('evaluation/'))} in evaluation"
    return _METRIC_LABELS.get(metric, metric.removeprefix("env_runners/").removeprefix("learners/").replace("_", " "))


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
