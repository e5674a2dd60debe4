"""Pictures of a T-Maze: text, and frames of one size that make a video.

Corridors too long for a picture are seen through a window that follows the agent; a bar shows where in the
corridor the agent is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rllib_recattn.envs.tmaze_task import DOWN, UP

# A multiple of 16, as video encoders want it.
FRAME_WIDTH, FRAME_HEIGHT = 640, 192

_TEXT_CELLS = 60
_FRAME_CELLS = 21
# Pillow draws without smoothing: frames are drawn larger and scaled down.
_SCALE = 2
_MARGIN = 26
_MAZE_CENTRE = 98
_BAR_Y = 170
_ARM_ROWS = {UP: -1, DOWN: 1}

_BACKGROUND = "#0f172a"
_TEXT = "#e2e8f0"
_MUTED = "#94a3b8"
_CELL = "#334155"
_FADED = ("#18233a", "#253349")
_JUNCTION = "#475569"
_CUED = "#22c55e"
_OTHER = "#7f1d1d"
_WRONG = "#f87171"
_AGENT = "#fbbf24"


@dataclass(frozen=True)
class TMazePicture:
    """What a picture shows.

    Attributes:
        corridor_length: Number of cells.
        step_limit: Steps after which the episode is truncated.
        cue: The cued direction, UP or DOWN.
        position: The agent's cell.
        turn: The direction in which the agent turned, None before it did.
        step: Steps since the reset.
    """

    corridor_length: int
    step_limit: int
    cue: int
    position: int
    turn: int | None
    step: int

    @property
    def outcome(self) -> str:
        """How the episode ended: "success", "wrong turn", "out of time", or "" while it runs."""
        if self.turn is not None:
            return "success" if self.turn == self.cue else "wrong turn"
        return "out of time" if self.step >= self.step_limit else ""

    def window(self, width: int) -> range:
        """The cells to show, at most `width`, with the agent in the middle where possible."""
        shown = min(width, self.corridor_length)
        first = min(max(self.position - shown // 2, 0), self.corridor_length - shown)
        return range(first, first + shown)


def draw(picture: TMazePicture, render_mode: str) -> str | NDArray[np.uint8]:
    """Draw a maze.

    Args:
        picture: What to show.
        render_mode: "ansi" or "rgb_array".

    Returns:
        Text of 8 lines, or a frame of shape [FRAME_HEIGHT, FRAME_WIDTH, 3].
    """
    return _draw_text(picture) if render_mode == "ansi" else _draw_frame(picture)


def _draw_text(picture: TMazePicture) -> str:
    cells = picture.window(_TEXT_CELLS)
    floor = ["·"] * len(cells)
    goals = ["*" if arm == picture.cue else " " for arm in (UP, DOWN)]
    if picture.turn is None:
        floor[picture.position - cells.start] = "@"
    else:
        goals[picture.turn] = "@"

    start = ("┌", "│", "└") if cells.start == 0 else ("─", "…", "─")
    *corridor, end = floor
    wall, indent = "─" * len(corridor), " " * (len(corridor) + 1)
    if cells.stop == picture.corridor_length:
        arms = (f"{indent}┌─┐", f"{indent}│{goals[UP]}│"), (f"{indent}│{goals[DOWN]}│", f"{indent}└─┘")
        walls = f"{wall}┘ │", f"{''.join(corridor)} {end}│", f"{wall}┐ │"
    else:
        arms = ("", ""), ("", "")
        walls = f"{wall}───", f"{''.join(corridor)}{end} …", f"{wall}───"
    maze = [left + right for left, right in zip(start, walls, strict=True)]
    return "\n".join([_status(picture), *arms[0], *maze, *arms[1]])


def _status(picture: TMazePicture) -> str:
    parts = [
        f"cue {'up' if picture.cue == UP else 'down'}",
        f"cell {picture.position + 1} of {picture.corridor_length}",
        f"step {picture.step} of {picture.step_limit}",
    ]
    return "   ".join([*parts, picture.outcome]).rstrip()


class _Canvas:
    """Pillow in the coordinates of the frame."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (FRAME_WIDTH * _SCALE, FRAME_HEIGHT * _SCALE), _BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(size=15 * _SCALE)

    def box(self, left: float, top: float, right: float, bottom: float, colour: str, radius: float = 0.0) -> None:
        corners = [left * _SCALE, top * _SCALE, right * _SCALE - 1, bottom * _SCALE - 1]
        self._draw.rounded_rectangle(corners, radius * _SCALE, fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: str) -> None:
        self._draw.circle((x * _SCALE, y * _SCALE), radius * _SCALE, fill=colour)

    def arrow(self, x: float, y: float, size: float, direction: int, colour: str) -> None:
        tip = -size if direction == UP else size
        points = [(x - size, y - tip / 2), (x + size, y - tip / 2), (x, y + tip / 2)]
        self._draw.polygon([(a * _SCALE, b * _SCALE) for a, b in points], fill=colour)

    def text(self, x: float, y: float, text: str, colour: str, anchor: str) -> None:
        self._draw.text((x * _SCALE, y * _SCALE), text, fill=colour, font=self._font, anchor=anchor)

    def pixels(self) -> NDArray[np.uint8]:
        return np.asarray(self._image.reduce(_SCALE)).copy()


def _draw_frame(picture: TMazePicture) -> NDArray[np.uint8]:
    canvas = _Canvas()
    _draw_header(canvas, picture)
    _draw_maze(canvas, picture)
    _draw_bar(canvas, picture)
    return canvas.pixels()


def _draw_header(canvas: _Canvas, picture: TMazePicture) -> None:
    canvas.text(_MARGIN, 22, "cue", _MUTED, "lm")
    canvas.arrow(_MARGIN + 38, 22, 7, picture.cue, _CUED)
    outcome_colour = _CUED if picture.outcome == "success" else _WRONG
    canvas.text(FRAME_WIDTH / 2, 22, picture.outcome, outcome_colour, "mm")
    canvas.text(FRAME_WIDTH - _MARGIN, 22, f"step {picture.step} of {picture.step_limit}", _MUTED, "rm")


def _draw_maze(canvas: _Canvas, picture: TMazePicture) -> None:
    cells = picture.window(_FRAME_CELLS)
    size = min(36.0, (FRAME_WIDTH - 2 * _MARGIN) / len(cells))
    left = (FRAME_WIDTH - size * len(cells)) / 2

    def centre(cell: int, row: int) -> tuple[float, float]:
        return left + (cell - cells.start + 0.5) * size, _MAZE_CENTRE + row * size

    def tile(cell: int, row: int, colour: str) -> None:
        x, y = centre(cell, row)
        half = size / 2 - 1
        canvas.box(x - half, y - half, x + half, y + half, colour, radius=size / 6)

    junction = picture.corridor_length - 1
    for cell in cells:
        tile(cell, 0, _JUNCTION if cell == junction else _CELL)
    for depth, colour in enumerate(_FADED):
        if cells.start > 0:
            tile(cells[depth], 0, colour)
        if cells.stop <= junction:
            tile(cells[-1 - depth], 0, colour)
    if junction in cells:
        for arm in (UP, DOWN):
            tile(junction, _ARM_ROWS[arm], _CUED if arm == picture.cue else _OTHER)
    if picture.step == 0:
        canvas.arrow(*centre(0, _ARM_ROWS[picture.cue]), size / 4, picture.cue, _CUED)
    agent = centre(picture.position, 0 if picture.turn is None else _ARM_ROWS[picture.turn])
    canvas.disc(*agent, size * 0.36, _BACKGROUND)
    canvas.disc(*agent, size * 0.30, _AGENT)


def _draw_bar(canvas: _Canvas, picture: TMazePicture) -> None:
    label = f"cell {picture.position + 1} of {picture.corridor_length}"
    canvas.text(FRAME_WIDTH - _MARGIN, _BAR_Y, label, _MUTED, "rm")
    start, end = _MARGIN, FRAME_WIDTH - _MARGIN - 160
    agent = start + (end - start) * picture.position / (picture.corridor_length - 1)
    canvas.box(start, _BAR_Y - 2, end, _BAR_Y + 2, _CELL, radius=2)
    canvas.box(start, _BAR_Y - 2, max(agent, start + 4), _BAR_Y + 2, _AGENT, radius=2)
    canvas.disc(agent, _BAR_Y, 5, _AGENT)
