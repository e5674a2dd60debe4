"""A sweep as a picture: the learning curves of its trials, and what each choice of a configuration did."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rllib_recattn.experiment.figures.curves import curve_of
from rllib_recattn.experiment.figures.figure_style import COLOURS, tidy
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.configurations import Configuration
from rllib_recattn.experiment.records.metrics import metric_label
from rllib_recattn.experiment.records.trial_settings import short_names, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS_IN_A_ROW = 3
_CHARACTERS = 108  # of ticks, that fit into the width of the figure
_MOST_CATEGORIES = 4  # that numbers may make: with more different ones they get an axis of numbers
_WIDE_RANGE = 20  # the largest number by the smallest, beyond which the axis is logarithmic
_LONGEST_TICK = 24
_GREY = "#64748b"


def plot_sweep(ranking: Sequence[Configuration], out: Path, title: str = "") -> Path | None:
    """Draw the learning curve of each trial, and a panel per choice with what each configuration is worth.

    Colours tell the values of one choice apart, the one with the fewest. The curves of the best configuration are
    drawn thick, its mark is a star, and configurations with trials that are not through are hollow. Small dots are
    seeds; the line through them is their standard deviation.

    Args:
        ranking: The configurations, best first.
        out: The picture's path; its extension chooses the format.
        title: What stands above.

    Returns:
        `out`, or None if no trial has reported the metric.
    """
    from matplotlib.figure import Figure

    shown = [configuration for configuration in ranking if configuration.values]
    if not shown:
        return None
    sweep = _Drawing(shown)
    columns = max(1, min(len(sweep.keys), _PANELS_IN_A_ROW))
    rows = math.ceil(len(sweep.keys) / columns)
    figure = Figure(figsize=(9, 4.2 + 3 * rows), layout="constrained")
    grid = figure.add_gridspec(1 + rows, columns, height_ratios=[1.3, *[1] * rows])
    sweep.draw_curves(figure.add_subplot(grid[0, :]))
    for index, key in enumerate(sweep.keys):
        row, column = divmod(index, columns)
        axis = figure.add_subplot(grid[1 + row, column])
        sweep.draw_choice(axis, key, _CHARACTERS // columns)
        if column == 0:
            axis.set_ylabel(shown[0].measure.label)
    figure.suptitle(title)
    figure.savefig(out, dpi=150)
    return out


@dataclass(frozen=True)
class _Drawing:
    """The panels of a figure. Configurations come best first, and the best one is drawn last, on top."""

    configurations: Sequence[Configuration]

    @cached_property
    def keys(self) -> list[str]:
        """The key paths at which configurations differ."""
        keys = dict.fromkeys(key for configuration in self.configurations for key in configuration.choices)
        return [key for key in keys if len(self._values(key)) > 1]

    @property
    def metric(self) -> str:
        """By what they are compared."""
        return self.configurations[0].measure.metric

    def draw_curves(self, axis: Axes) -> None:
        """Draw the learning curves."""
        best = self.configurations[0]
        for configuration in reversed(self.configurations):
            width, alpha = (3.0, 1.0) if configuration is best else (1.2, 0.7)
            colour = self._colour(configuration)
            for trial in configuration.trials:
                curve = curve_of(trial, self.metric)
                if curve is None:
                    continue
                marker = "o" if len(curve.x) < 3 else None
                axis.plot(curve.x, curve.y, color=colour, linewidth=width, alpha=alpha, marker=marker, markersize=4)
        self._draw_stars(axis, best)
        if self._telling_key is not None:
            name = short_names(self.keys)[self._telling_key]
            for value, colour in zip(self._values(self._telling_key), COLOURS, strict=False):
                axis.plot([], [], color=colour, label=f"{name} = {value}")
        axis.set_xlabel(metric_label(metrics.ENV_STEPS))
        axis.set_ylabel(metric_label(self.metric))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set_xlim(left=0)
        tidy(axis, self.metric)
        axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), frameon=False, ncols=3, fontsize="small")

    def draw_choice(self, axis: Axes, key: str, characters: int) -> None:
        """Draw what each configuration is worth against what was chosen; so many characters fit below the panel."""
        choices = [configuration.choices.get(key) for configuration in self.configurations]
        place = _places(axis, choices, characters)
        for configuration in reversed(self.configurations):
            is_best = configuration is self.configurations[0]
            is_through = all(trial.status in ("finished", "stopped early") for trial in configuration.trials)
            colour, x = self._colour(configuration), place(configuration.choices.get(key))
            seeds = list(configuration.values.values())
            if len(seeds) > 1:
                axis.plot([x] * len(seeds), seeds, ".", color=colour, markersize=4, alpha=0.6)
            axis.errorbar(
                x,
                configuration.mean,
                yerr=None if math.isnan(configuration.spread) else configuration.spread,
                fmt="*" if is_best else "o",
                markersize=15 if is_best else 7,
                color=colour,
                markerfacecolor=colour if is_best or is_through else "white",
                alpha=0.85,
            )
        axis.set_xlabel(short_names(self.keys)[key])
        tidy(axis, self.metric)

    def _draw_stars(self, axis: Axes, best: Configuration) -> None:
        """Mark what each trial of a configuration is worth, where that is from."""
        label = ", ".join(value_text(value) for key, value in best.choices.items() if key in self.keys)
        label = f"best: {best.name}" + f" ({label})" * bool(label)
        for trial in best.trials:
            if trial.name not in best.values:
                continue
            history = trial.history.set_index(metrics.ITERATION)
            steps = history[metrics.ENV_STEPS][trial.position_of(best.measure)]
            colour = self._colour(best)
            axis.plot(steps, best.values[trial.name], "*", color=colour, markersize=15, label=label)
            label = "_"  # once in the legend

    def _colour(self, configuration: Configuration) -> str:
        if self._telling_key is None:
            return _GREY
        value = value_text(configuration.choices.get(self._telling_key))
        return COLOURS[self._values(self._telling_key).index(value)]

    @cached_property
    def _telling_key(self) -> str | None:
        few = [key for key in self.keys if len(self._values(key)) <= len(COLOURS)]
        return min(few, key=lambda key: len(self._values(key)), default=None)

    def _values(self, key: str) -> list[str]:
        return _in_order([configuration.choices.get(key) for configuration in self.configurations])


def _places(axis: Axes, values: Sequence[Any], characters: int) -> Callable[[Any], float]:
    """Prepare an x axis for values: numbers where there are many different ones, else a place for each of them."""
    texts = _in_order(values)
    if all(map(_is_number, values)) and len(texts) > _MOST_CATEGORIES:
        if min(values) > 0 and max(values) / min(values) > _WIDE_RANGE:
            axis.set_xscale("log")
        return float
    ticks = [_tick(text) for text in texts]
    longest = max(map(len, ticks)) + 2  # each has as much room as the others
    axis.set_xticks(range(len(texts)), ticks)
    if len(ticks) * longest > characters:
        for label in axis.get_xticklabels():
            label.set(rotation=15, ha="right", rotation_mode="anchor")
    axis.set_xlim(-0.5, len(texts) - 0.5)
    return lambda value: float(texts.index(value_text(value)))


def _in_order(values: Sequence[Any]) -> list[str]:
    """Write different values, numbers in their order, all others in that of the alphabet."""
    if all(map(_is_number, values)):
        return list(dict.fromkeys(value_text(value) for value in sorted(values)))
    return sorted({value_text(value) for value in values})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tick(text: str) -> str:
    return text if len(text) <= _LONGEST_TICK else f"{text[: _LONGEST_TICK - 1]}…"
