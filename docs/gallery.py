"""Draw the pictures of docs/environments.md: each task as the agent sees it, and from above.

    python -m docs.gallery [name …]

Writes docs/images/envs/<name>.png for the rows of `GALLERY` that are named, or for all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

import rllib_recattn  # noqa: F401, registers the environments

IMAGES = Path(__file__).parent / "images" / "envs"
# Heights of the panels and the gap between them, in pixels, and the most that a picture may take, in bytes.
HEIGHT, GAP, MOST_BYTES = 192, 12, 30_000


def observed(env: gymnasium.Env, observation: Any) -> np.ndarray:
    """Return what the agent sees: the image of its observation, or its vector as a row of squares."""
    image = observation["image"] if isinstance(observation, Mapping) else np.asarray(observation)
    if image.ndim == 1:
        squares = np.full((18, 18 * len(image) + 2, 3), 255, np.uint8)
        for index, value in enumerate(np.clip(image, 0, 1)):
            squares[2:, 18 * index + 2 : 18 * (index + 1)] = 225 - round(200 * float(value))
        return squares
    return image


def seen_in_minigrid(env: gymnasium.Env, observation: Any) -> np.ndarray:
    """Return the cells in view as MiniGrid draws them, since one-hot vectors are no sight."""
    return env.unwrapped.get_pov_render(tile_size=32)  # type: ignore[attr-defined]


def seen_in_miniworld(env: gymnasium.Env, observation: Any) -> np.ndarray:
    """Return the picture of an observation, which tasks with a goal call "obs"."""
    return observation["obs"] if isinstance(observation, Mapping) else observation


def seen_in_memory_gym(env: gymnasium.Env, observation: Any) -> np.ndarray:
    """Return the picture the right way round: Memory Gym observes its columns as rows."""
    return observation.transpose(1, 0, 2)


def hidden_in_memory_gym(env: gymnasium.Env) -> np.ndarray:
    """Return what Memory Gym draws for debugging."""
    import pygame

    return pygame.surfarray.array3d(env.unwrapped._build_debug_surface()).transpose(1, 0, 2)  # type: ignore[attr-defined]


def rendered(env: gymnasium.Env) -> np.ndarray:
    """Return what ``render`` draws."""
    return np.asarray(env.render())


@dataclass(frozen=True)
class Picture:
    """A row of the gallery.

    Attributes:
        name: Of the file.
        env: The environment's id.
        settings: Of the environment.
        actions: Taken before the picture, after a reset with `seed`.
        sees: From the environment and its observation to what the agent sees.
        above: From the environment to a picture from above.
    """

    name: str
    env: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    actions: Sequence[Any] = ()
    seed: int = 0
    sees: Callable[[gymnasium.Env, Any], np.ndarray] = observed
    above: Callable[[gymnasium.Env], np.ndarray] = rendered

    def draw(self) -> Image.Image:
        """Draw the two panels side by side."""
        env = gymnasium.make(self.env, render_mode="rgb_array", **self.settings)
        try:
            observation, _ = env.reset(seed=self.seed)
            for action in self.actions:
                observation, *_ = env.step(action)
            panels = [_scaled(self.sees(env, observation)), _scaled(self.above(env))]
        finally:
            env.close()
        width = sum(panel.width for panel in panels) + GAP
        picture = Image.new("RGB", (width, HEIGHT), "white")
        picture.paste(panels[0], (0, (HEIGHT - panels[0].height) // 2))
        picture.paste(panels[1], (panels[0].width + GAP, (HEIGHT - panels[1].height) // 2))
        return picture


def _minigrid(name: str, env: str, actions: Sequence[int] = (), seed: int = 0, **settings: Any) -> Picture:
    return Picture(name, env, settings, actions, seed, sees=seen_in_minigrid)


def _miniworld(name: str, env: str, seed: int = 0, **settings: Any) -> Picture:
    return Picture(name, env, {"view": "top", **settings}, seed=seed, sees=seen_in_miniworld)


def _memory_gym(name: str, task: str, actions: Sequence[Any] = (), seed: int = 0, **settings: Any) -> Picture:
    env = f"rllib_recattn/{task}-v0"
    return Picture(name, env, settings, actions, seed, sees=seen_in_memory_gym, above=hidden_in_memory_gym)


GALLERY = (
    Picture("tmaze", "rllib_recattn/TMaze-v0", {"corridor_length": 8}),
    _minigrid("minigrid-memory-s7", "rllib_recattn/MiniGrid-MemoryS7-v0", [0, 0], seed=1, agent_view_size=3),
    _minigrid("minigrid-memory-s13", "rllib_recattn/MiniGrid-MemoryS13-v0", [0, 0], seed=1),
    _minigrid("minigrid-memory-s17-random", "rllib_recattn/MiniGrid-MemoryS17Random-v0", seed=1),
    _miniworld("miniworld-memory-tmaze", "rllib_recattn/MiniWorld-MemoryTMaze-v0"),
    _miniworld("miniworld-random-sign", "rllib_recattn/MiniWorld-RandomSign-v0", seed=3),
    _miniworld("miniworld-maze", "rllib_recattn/MiniWorld-v0", task="MiniWorld-MazeS3-v0"),
    _minigrid("minigrid-putnear", "rllib_recattn/MiniGrid-v0", task="MiniGrid-PutNear-8x8-N3-v0"),
    _memory_gym("mystery-path-grid", "MysteryPathGrid", [3, 3, 2, 3]),
    _memory_gym("mystery-path-grid-easy", "MysteryPathGrid", [3, 3, 2, 3], show_origin=True, show_goal=True),
    _memory_gym("mortar-mayhem-grid", "MortarMayhemGrid", [0]),
    _memory_gym("searing-spotlights", "SearingSpotlights", [[2, 1]] * 3),
    Picture(
        "popgym-position-only-cartpole",
        "rllib_recattn/POPGym-v0",
        {"task": "popgym-PositionOnlyCartPoleEasy-v0"},
        [1] * 8,
    ),
    Picture("memory-maze-9x9", "rllib_recattn/MemoryMaze-9x9-v0", {"view": "top"}, seed=1),
)


def _scaled(pixels: np.ndarray) -> Image.Image:
    """Scale a panel to the height of the picture, or to a width of twice that where it is longer."""
    image = Image.fromarray(pixels)
    factor = min(HEIGHT / image.height, 2 * HEIGHT / image.width)
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Image.Resampling.NEAREST if factor > 2 else Image.Resampling.LANCZOS)


def save(picture: Image.Image, out: Path) -> None:
    """Write a picture with as many colours as fit into `MOST_BYTES`."""
    for colours in (256, 128, 64, 32, 16):
        picture.quantize(colours).save(out, optimize=True)
        if out.stat().st_size <= MOST_BYTES:
            return
    raise ValueError(f"{out} takes {out.stat().st_size} bytes")


def main() -> None:
    """Draw the pictures that the command line names."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    chosen = sys.argv[1:] or [picture.name for picture in GALLERY]
    unknown = set(chosen) - {picture.name for picture in GALLERY}
    if unknown:
        sys.exit(f"no such picture: {', '.join(sorted(unknown))}")
    for picture in GALLERY:
        if picture.name in chosen:
            out = IMAGES / f"{picture.name}.png"
            save(picture.draw(), out)
            print(f"{out.name}: {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
