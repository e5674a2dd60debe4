"""Which of an image's sizes are its height, its width and its channels.

Gymnasium's images are (height, width, channels). Those of PyTorch's world, and stacks of grey frames, have the channels
first, and read the wrong way an Atari screen is 84 channels of 4 × 84 pixels. Stacked frames add a dimension in front,
as ``gymnasium.wrappers.FrameStackObservation`` does; they are channels too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import Channels

FEW = 16  # channels, of four stacked frames in colour and a few more
USUAL = 4  # channels of one image: grey, grey with alpha, colour, colour with alpha


@dataclass(frozen=True)
class ImageLayout:
    """How to read a Box of images.

    Attributes:
        axes: The dimensions of the Box that are height, width and, however many there are of them, channels.
        shape: (H, W, C) of an image so read.
    """

    axes: tuple[int, ...]
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, shape: Sequence[int], *axes: int) -> ImageLayout:
        """Return the layout of a Box of this shape with these axes."""
        height, width, *channels = (shape[axis] for axis in axes)
        return cls(axes, (height, width, math.prod(channels)))

    @property
    def is_usual(self) -> bool:
        """Whether it is Gymnasium's order."""
        return self.axes == tuple(range(len(self.axes))) and len(self.axes) <= 3

    def __str__(self) -> str:
        height, width, channels = self.shape
        return f"{height} × {width} pixels with {channels} channel{'s' * (channels > 1)}"


def image_layout(shape: Sequence[int], channels: Channels, encoder: str = "cnn") -> ImageLayout:
    """Decide how images are read.

    Args:
        shape: Of the Box: (H, W); (H, W, C) or (C, H, W); or such as these behind a number of stacked frames.
        channels: Where the channels are, or "auto", to tell by the shape.
        encoder: The encoder's type, for messages.

    Returns:
        The layout.

    Raises:
        SettingsError: If the shape does not tell.
    """
    if len(shape) == 2:
        return ImageLayout.of(shape, 0, 1)
    frames = range(len(shape) - 3)  # the dimension of stacked frames, if there is one
    first, last = _layouts(shape)
    if channels != "auto":
        return first if channels == "first" else last
    where = _channels_of(shape[-3:])
    if where is None or (frames and shape[0] >= min((first if where == "first" else last).shape[:2])):
        raise SettingsError(
            f"observation space: shape = {tuple(shape)}: does not tell which of its sizes are channels: the encoder "
            f"should, {{type: {encoder}, channels: first}} for {first}, {{type: {encoder}, channels: last}} for {last}"
            + ("; stacked frames should stand in front: (frames, height, width, channels)" if frames else "")
        )
    return first if where == "first" else last


def _layouts(shape: Sequence[int]) -> tuple[ImageLayout, ImageLayout]:
    """Return the layouts with channels first and last, stacked frames in front."""
    if len(shape) == 3:
        return ImageLayout.of(shape, 1, 2, 0), ImageLayout.of(shape, 0, 1, 2)
    return ImageLayout.of(shape, 2, 3, 0, 1), ImageLayout.of(shape, 1, 2, 0, 3)


def _channels_of(shape: Sequence[int]) -> Channels | None:
    """Say where the channels of one image are, None if that is not plain."""
    a, b, c = shape
    # Channels that come first are fewer than rows and columns, and a square is more likely an image than not.
    if c > USUAL and a > b == c:
        return None  # a square behind many channels, or as many columns as channels
    if a >= min(b, c) or c <= USUAL:
        return "last"
    if 2 * a <= b == c or (a <= FEW < min(b, c) and 2 * a <= min(b, c)):
        return "first"
    return None
