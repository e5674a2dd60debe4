"""Videos: their frames, and what is refused before an evaluation begins."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from PIL import Image

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.evaluation.video import VideoRecorder


class CountingEnv:
    """A vectorised environment of one whose n-th picture has the brightness 40 n."""

    def __init__(self, shape=(20, 30, 3)):
        self.shape, self.pictures = shape, 0

    def render(self):
        self.pictures += 1
        return (np.full(self.shape, 40 * self.pictures, dtype=np.uint8),)


def record(path, frames, shape=(20, 30, 3)):
    recorder = VideoRecorder(path, episodes=1)
    env = CountingEnv(shape)
    recorder.capture(env=env)
    recorder.recording = True
    for _ in range(frames):
        recorder.capture(env=env)
    recorder.recording = False
    recorder.capture(env=env)
    recorder.save(frames_per_second=10)
    assert env.pictures == frames


def test_a_gif_has_the_frames_that_were_captured_while_recording(tmp_path):
    record(tmp_path / "episode.gif", frames=5)
    with Image.open(tmp_path / "episode.gif") as video:
        assert video.n_frames == 5
        assert video.size == (30, 20)
        assert video.info["duration"] == 100
        brightness = []
        for index in range(5):
            video.seek(index)
            brightness.append(video.convert("L").getpixel((0, 0)))
    assert brightness == [40, 80, 120, 160, 200]


@pytest.mark.skipif(not importlib.util.find_spec("imageio_ffmpeg"), reason="needs the extra 'video'")
def test_an_mp4_has_the_frames_and_even_sizes(tmp_path):
    imageio = pytest.importorskip("imageio")
    record(tmp_path / "episode.mp4", frames=5, shape=(65, 97, 3))
    with imageio.get_reader(tmp_path / "episode.mp4") as video:
        assert video.count_frames() == 5
        assert video.get_meta_data()["size"] == (98, 66)
        assert video.get_meta_data()["fps"] == 10
        assert abs(float(video.get_data(2).mean()) - 120) < 5


@pytest.mark.parametrize("name", ["episode.avi", "episode", ".gif"])
def test_other_extensions_are_refused(tmp_path, name):
    with pytest.raises(SettingsError, match=r"should end with \.gif or \.mp4"):
        VideoRecorder(tmp_path / name, episodes=1)


def test_a_missing_directory_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="there is no directory"):
        VideoRecorder(tmp_path / "missing" / "episode.gif", episodes=1)


def test_mp4_without_its_packages_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r'pip install "rllib-recattn\[video\]"'):
        VideoRecorder(tmp_path / "episode.mp4", episodes=1)
    VideoRecorder(tmp_path / "episode.gif", episodes=1)
