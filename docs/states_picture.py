"""Draw the picture of docs/states.md.

    python -m docs.states_picture

Writes docs/images/states.png.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

OUT = Path(__file__).parent / "images" / "states.png"
EPISODES = {"A": (20, "#7fb3d8"), "B": (5, "#f0b775"), "C": (4, "#9cc98d")}
"""An episode's name → its steps, and its colour."""
ROW = 8
PADDING = "#f2f2f2"


def rows(packed: bool) -> list[list[str]]:
    """Return rows of `ROW` slots: the name of the episode in each, empty where there is none."""
    chunks = [
        list(name * min(ROW, steps - start)) for name, (steps, _) in EPISODES.items() for start in range(0, steps, ROW)
    ]
    filled: list[list[str]] = []
    for chunk in chunks:
        starts = len({*chunk} & {name for row in filled for name in row}) == 0
        room = next((row for row in filled if packed and starts and len(row) + len(chunk) <= ROW), None)
        if room is None:
            filled.append(chunk)
        else:
            room += chunk
    return [[*chunk, *[""] * (ROW - len(chunk))] for chunk in filled]


def main() -> None:
    """Draw the episodes, RLlib's rows, and packed rows."""
    figure, (above, left, right) = pyplot.subplots(
        3, 1, figsize=(8, 6.2), height_ratios=(3, 5, 4), constrained_layout=True
    )
    _draw(above, [list(name * steps) for name, (steps, _) in EPISODES.items()], "Episodes, step by step")
    _draw(left, rows(packed=False), f"Rows of max_seq_len = {ROW}, padded: RLlib's")
    _draw(right, rows(packed=True), "Rows, packed; a bar marks where is_first has the model forget")
    figure.savefig(OUT, dpi=110)


def _draw(axes: Axes, lines: list[list[str]], title: str) -> None:
    seen: set[str] = set()
    for number, line in enumerate(lines):
        for slot, name in enumerate(line):
            colour = EPISODES[name][1] if name else PADDING
            axes.add_patch(pyplot.Rectangle((slot, -number), 0.94, 0.8, color=colour, linewidth=0))
            begins = bool(name) and (slot == 0 or line[slot - 1] != name)
            if begins:
                axes.text(slot + 0.47, -number + 0.4, name, ha="center", va="center", fontsize=9)
            if begins and name not in seen:
                seen.add(name)
                axes.add_patch(pyplot.Rectangle((slot - 0.06, -number - 0.05), 0.1, 0.9, color="black", linewidth=0))
            elif begins and slot == 0:
                axes.annotate(
                    "state", (0, -number + 0.4), (-1.5, -number + 0.4), va="center", fontsize=8,
                    arrowprops={"arrowstyle": "->", "color": "black"},
                )  # fmt: skip
    axes.set_xlim(-1.8, 20.2)
    axes.set_ylim(-len(lines) + 0.8, 1)
    axes.set_title(title, fontsize=10, loc="left")
    axes.axis("off")


if __name__ == "__main__":
    main()
