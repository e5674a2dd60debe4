"""Where the channels of an image are."""

import warnings

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.image_layout import image_layout
from rllib_recattn.inputs.input_settings import encoder_settings
from rllib_recattn.inputs.tokenizer import Tokenizer

LAST, FIRST = (0, 1, 2), (1, 2, 0)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        *[(shape, LAST) for shape in [(7, 7, 3), (60, 80, 3), (64, 64, 3), (84, 84, 4), (84, 84, 12), (56, 56, 3)]],
        *[(shape, LAST) for shape in [(7, 7, 20), (8, 8, 111), (10, 9, 111), (2, 3, 3), (5, 4, 3), (1, 1, 1)]],
        *[(shape, FIRST) for shape in [(4, 84, 84), (3, 64, 64), (1, 28, 28), (12, 84, 84), (3, 60, 80), (4, 9, 9)]],
        *[(shape, (1, 2, 0, 3)) for shape in [(4, 84, 84, 3), (4, 84, 84, 1), (2, 60, 80, 3), (4, 7, 7, 3)]],
        *[(shape, (2, 3, 0, 1)) for shape in [(4, 3, 84, 84), (4, 1, 84, 84), (2, 3, 60, 80)]],
        ((12, 9), (0, 1)),
    ],
)
def test_a_shape_tells(shape, axes):
    layout = image_layout(shape, "auto")
    assert layout.axes == axes
    height, width, channels = layout.shape
    assert (height, width) == (shape[axes[0]], shape[axes[1]])
    assert height * width * channels == np.prod(shape)


@pytest.mark.parametrize(
    "shape",
    [
        (5, 7, 20),
        (20, 30, 40),
        (3, 5, 5),
        (3, 20, 5),
        (16, 16, 16, 3),
        (84, 84, 3, 4),
        (4, 4, 4, 3),
        (20, 7, 7),
        (10, 9, 9),
    ],
    ids=str,
)
@pytest.mark.parametrize("encoder", ["auto", "cnn", "impala_cnn"])
def test_a_shape_that_does_not_is_asked_for(shape, encoder):
    sizes = r"observation space: shape = \(" + ", ".join(map(str, shape))
    choices = rf".*{{type: {encoder}, channels: first}} for .*{{type: {encoder}, channels: last}} for"
    with pytest.raises(SettingsError, match=sizes + choices):
        Tokenizer(Dict({"image": Box(0, 255, shape, np.uint8)}), encoder_settings(encoder))


def read(shape, images, encoder):
    torch.manual_seed(0)
    return Tokenizer(Box(0, 255, shape, np.uint8), encoder_settings(encoder))(images)


@pytest.mark.parametrize("kind", ["cnn", "impala_cnn"])
def test_the_same_images_are_read_the_same_wherever_their_channels_are(kind):
    frames = torch.randint(0, 256, (2, 3, 4, 26, 28, 3), dtype=torch.uint8)  # [B, T, k, H, W, C]
    stacked = frames.permute(0, 1, 3, 4, 2, 5).flatten(-2)
    expected = read((26, 28, 12), stacked, {"type": kind, "widths": [4, 4]})
    for channels in ("auto", "first"):
        encoder = {"type": kind, "widths": [4, 4], "channels": channels}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.testing.assert_close(read((12, 26, 28), stacked.movedim(-1, 2), encoder), expected)
            torch.testing.assert_close(read((4, 3, 26, 28), frames.movedim(-1, 3), encoder), expected)
    encoder = {"type": kind, "widths": [4, 4], "channels": "last"}
    torch.testing.assert_close(read((4, 26, 28, 3), frames, encoder), expected)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 84, 84), r"\(4, 84, 84\) are read as images of 84 × 84 pixels with 4 channels"),
        ((1, 28, 28), r"28 × 28 pixels with 1 channel;"),
        ((4, 84, 84, 3), "84 × 84 pixels with 12 channels; encoder: {type: auto, channels: …} says it"),
    ],
)
def test_what_the_shape_told_is_said_unless_it_was_said_before(shape, words):
    space = Box(0, 255, shape, np.uint8)
    with pytest.warns(UserWarning, match=words):
        tokenizer = Tokenizer(space, encoder_settings("auto"))
    assert sum(parameter.numel() for parameter in tokenizer.parameters()) < 2_000_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Tokenizer(space, encoder_settings({"type": "cnn", "channels": "first" if len(shape) == 3 else "last"}))
        Tokenizer(Box(0, 255, (84, 84, 3), np.uint8), encoder_settings("auto"))


def test_channels_are_first_last_or_told_by_the_shape():
    with pytest.raises(SettingsError, match=r"encoder 'cnn': channels = 'middle': .*'auto', 'first' or 'last'"):
        encoder_settings({"type": "cnn", "channels": "middle"})
