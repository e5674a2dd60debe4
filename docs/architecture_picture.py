"""Draw the picture of docs/architecture.md.

    python -m docs.architecture_picture

Writes docs/images/architecture.png.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

OUT = Path(__file__).parent / "images" / "architecture.png"
OURS, THEIRS, EDGE = "#dbe9f6", "#f2f2f2", "#5b6b7b"
WIDTH, HEIGHT = 0.30, 0.082
# (column, row from the top, what it does, where, whether it is this package's)
BOXES = (
    (0, 0, "a YAML file", "name: {run, env, model, config}", False),
    (0, 1, "checked and translated", "experiment/definition, migration", True),
    (0, 2, "RLlib's config", "experiment/algorithm: build_config", True),
    (0, 3, "the model in the config", "rl_module/use_model.py", True),
    (0, 4, "one trial, or many", "experiment/training: Ray Tune", True),
    (0, 5, "what it leaves", "records, reports, checkpoints", True),
    (1, 0, "environment: one step", "envs, or anyone's", False),
    (1, 1, "observation and last state, batched", "env-to-module: inputs, sparse_states", True),
    (1, 2, "encoder → model → heads", "encoder.py, inputs, models", True),
    (1, 3, "action to the environment", "RLlib's module-to-env", False),
    (1, 4, "one state in max_seq_len kept", "sparse_states: in the episode", True),
    (2, 0, "episodes arrive", "RLlib's Learner", False),
    (2, 1, "rows of max_seq_len steps, with a state", "sparse_states: learner connector", True),
    (2, 2, "short rows share one", "packing/rows.py: is_first resets", True),
    (2, 3, "the model reads whole rows", "models: Stack.read", True),
    (2, 4, "loss over real steps, gradients", "RLlib's loss, rl_module/fixes", False),
    (2, 5, "weights to the EnvRunners", "RLlib", False),
)
TITLES = ("from a key to the config", "acting: EnvRunner", "learning: Learner")


def main() -> None:
    """Draw the three columns."""
    figure, axes = pyplot.subplots(figsize=(11, 5.6))
    for column, title in enumerate(TITLES):
        axes.text(_left(column) + WIDTH / 2, 0.965, title, ha="center", va="center", fontsize=12, weight="bold")
    for box in BOXES:
        _draw(axes, *box)
    _arrow(axes, (_left(1) + WIDTH, _top(4) - HEIGHT / 2), (_left(2), _top(0) - HEIGHT / 2))
    _arrow(axes, (_left(2), _top(5) - HEIGHT / 2), (_left(1) + WIDTH, _top(2) - HEIGHT / 2))
    _arrow(axes, (_left(0) + WIDTH, _top(4) - HEIGHT / 2), (_left(1), _top(0) - HEIGHT / 2))
    for x, colour, text in ((0.36, OURS, "this package"), (0.55, THEIRS, "RLlib or yours")):
        axes.add_patch(pyplot.Rectangle((x, 0.005), 0.02, 0.025, facecolor=colour, edgecolor=EDGE))
        axes.text(x + 0.028, 0.017, text, va="center", fontsize=9)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1)
    axes.axis("off")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.99, bottom=0.01)
    figure.savefig(OUT, dpi=110)


def _left(column: int) -> float:
    return 0.005 + column * 0.3475


def _top(row: int) -> float:
    return 0.925 - row * 0.148


def _draw(axes: Axes, column: int, row: int, what: str, where: str, is_ours: bool) -> None:
    left, top = _left(column), _top(row)
    box = pyplot.Rectangle((left, top - HEIGHT), WIDTH, HEIGHT, facecolor=OURS if is_ours else THEIRS, edgecolor=EDGE)
    axes.add_patch(box)
    axes.text(left + WIDTH / 2, top - 0.026, what, ha="center", va="center", fontsize=10)
    axes.text(left + WIDTH / 2, top - 0.060, where, ha="center", va="center", fontsize=8, color=EDGE)
    if (column, row + 1) in {(each[0], each[1]) for each in BOXES}:
        _arrow(axes, (left + WIDTH / 2, top - HEIGHT), (left + WIDTH / 2, _top(row + 1)))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "->", "color": EDGE, "linewidth": 1.2})


if __name__ == "__main__":
    main()
