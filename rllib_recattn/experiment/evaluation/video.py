"""Videos of episodes: GIF through Pillow, MP4 through imageio and ffmpeg."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rllib_recattn.errors import SettingsError

EXTENSIONS = (".gif", ".mp4")


class Frames:
    """Collects frames of episodes.

    Attributes:
        recording: Whether they are collected.
        frames: What was collected, [height, width, 3] of bytes each.
        problem: Why a picture could not be made; none is, after that.
    """

    def __init__(self) -> None:
        self.recording = False
        self.frames: list[np.ndarray] = []
        self.problem: str | None = None

    def capture(self, *, env: Any, **kwargs: Any) -> None:
        """Add the picture of a vectorised environment of one, while `recording`; an RLlib episode callback."""
        self.add(lambda: env.render()[0])

    def add(self, render: Callable[[], Any]) -> None:
        """Add the picture that `render` makes, while `recording`."""
        if not self.recording or self.problem is not None:
            return
        try:
            picture = np.asarray(render())
        except Exception as error:  # whatever a foreign environment raises
            self.problem = f"render fails: {' '.join(f'{type(error).__name__}: {error}'.split())}"
            return
        if picture.ndim != 3 or picture.shape[2] not in (3, 4) or not np.issubdtype(picture.dtype, np.number):
            self.problem = f"render should return a picture, [height, width, 3], not {picture.dtype} {picture.shape}"
            return
        self.frames.append(picture[..., :3].astype(np.uint8))


class VideoRecorder(Frames):
    """Collects the frames of the first episodes and writes them as one video.

    What would make writing fail is found out here, before an evaluation begins.

    Args:
        path: The file to write; ``.gif`` or ``.mp4``.
        episodes: How many episodes to record.

    Raises:
        SettingsError: If the extension is neither, the directory is missing, or MP4 needs packages that are missing.
    """

    def __init__(self, path: Path, episodes: int):
        if path.suffix.lower() not in EXTENSIONS:
            raise SettingsError(f"video {str(path)!r}: the name should end with {' or '.join(EXTENSIONS)}")
        if not path.parent.is_dir():
            raise SettingsError(f"video {str(path)!r}: there is no directory {str(path.parent)!r}")
        if path.suffix.lower() == ".mp4" and not importlib.util.find_spec("imageio_ffmpeg"):
            raise SettingsError(
                f'video {str(path)!r}: MP4 needs more packages: pip install "rllib-recattn[video]"; or choose .gif'
            )
        super().__init__()
        self.path = path
        self.episodes = episodes

    def save(self, frames_per_second: float) -> None:
        """Write the video.

        Args:
            frames_per_second: How fast the environment steps when watched.
        """
        if self.path.suffix.lower() == ".gif":
            self._save_gif(frames_per_second)
        else:
            self._save_mp4(frames_per_second)

    def _save_gif(self, frames_per_second: float) -> None:
        from PIL import Image

        first, *others = (Image.fromarray(frame) for frame in self.frames)
        # Viewers slow down frames of less than 20 ms. Equal frames are kept apart only if told to.
        duration = max(20, round(1000 / frames_per_second))
        first.save(self.path, save_all=True, append_images=others, duration=duration, loop=0, optimize=False)

    def _save_mp4(self, frames_per_second: float) -> None:
        import imageio

        # The codec wants even sizes; the edge is repeated to get them.
        height, width = self.frames[0].shape[:2]
        padding = ((0, height % 2), (0, width % 2), (0, 0))
        with imageio.get_writer(self.path, fps=frames_per_second, macro_block_size=1) as writer:
            for frame in self.frames:
                writer.append_data(np.pad(frame, padding, mode="edge"))
