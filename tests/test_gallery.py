"""The pictures of docs/environments.md are what docs/gallery.py draws."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.gallery import GALLERY, IMAGES, MOST_BYTES, save

PAGE = (Path(__file__).parents[1] / "docs" / "environments.md").read_text(encoding="utf-8")


def test_the_page_shows_every_picture_and_no_other():
    shown = set(re.findall(r"images/envs/([\w-]+)\.png", PAGE))
    assert shown == {picture.name for picture in GALLERY} == {path.stem for path in IMAGES.glob("*.png")}


def test_pictures_are_small():
    assert max(path.stat().st_size for path in IMAGES.glob("*.png")) <= MOST_BYTES


@pytest.mark.parametrize("name", ["tmaze", "minigrid-memory-s7", "minigrid-memory-s13"])
def test_a_picture_is_drawn_again(name, tmp_path):
    (picture,) = (picture for picture in GALLERY if picture.name == name)
    save(picture.draw(), tmp_path / "again.png")
    committed, again = (
        np.asarray(Image.open(path).convert("RGB"), int) for path in (IMAGES / f"{name}.png", tmp_path / "again.png")
    )
    assert committed.shape == again.shape
    assert np.abs(committed - again).mean() < 1
