"""Memory Maze as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from pydantic import Field

from rllib_recattn.envs.memory_maze.imported import memory_maze_tasks
from rllib_recattn.errors import Settings, validate


class MemoryMazeSettings(Settings):
    """What a maze can be told; see :class:`MemoryMaze`."""

    size: Literal[9, 11, 13, 15]
    camera_resolution: int = Field(ge=1)
    control_freq: float = Field(gt=0)
    good_visibility: bool
    randomize_colors: bool
    global_observables: bool
    render_mode: Literal["rgb_array", None]
    view: Literal["agent", "top"]


class MemoryMaze(gymnasium.Env):
    """A maze with coloured targets; the border of the picture has the colour of the one to go to next.

    Who has seen where the targets are, and remembers, finds them faster. The maze is another one in each episode.

    **Observations**: Box(0, 255, [camera_resolution, camera_resolution, 3], uint8); with `global_observables` a Dict of
    it as ``image`` and of the positions and directions of agent and targets, the colour of the next one, and the layout
    of the maze.
    **Actions**: Discrete(6): nothing, forward, left, right, forward and left, forward and right.
    **Reward**: 1 for each target that is reached while it is the next one. People get 26.4 per episode at 9x9.
    **Episode end**: never but for the time limit, after 250, 500, 750 or 1,000 seconds, which is 1,000 to 4,000 steps.

    Args:
        size: Cells a side, 9, 11, 13 or 15.
        camera_resolution: Pixels a side of the picture.
        control_freq: Steps in a second of the agent's life.
        good_visibility: Whether walls are low and targets high.
        randomize_colors: Whether the targets' colours are drawn again from six for each episode.
        global_observables: Whether to observe as well what an agent should find out by itself, for probes.
        render_mode: "rgb_array" or None.
        view: What ``render`` draws: what the "agent" sees, or the maze from the "top".

    Raises:
        DependencyNotInstalled: If Memory Maze is not installed; the message has the line that installs it.
        SettingsError: If a setting is wrong.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        size: int,
        camera_resolution: int = 64,
        control_freq: float = 4.0,
        good_visibility: bool = False,
        randomize_colors: bool = False,
        global_observables: bool = False,
        render_mode: str | None = None,
        view: str = "agent",
    ) -> None:
        arguments: dict[str, Any] = {
            "camera_resolution": camera_resolution,
            "control_freq": control_freq,
            "good_visibility": good_visibility,
            "randomize_colors": randomize_colors,
            "global_observables": global_observables,
        }
        where = f"MemoryMaze-{size}x{size}"
        validate(MemoryMazeSettings, {"size": size, "render_mode": render_mode, "view": view, **arguments}, where)
        self.render_mode, self._view = render_mode, view
        self._make = getattr(memory_maze_tasks(), f"memory_maze_{size}x{size}")
        self._arguments = {**arguments, "image_only_obs": not global_observables}
        self._env = self._make(**self._arguments)
        self.observation_space = _space(self._env.observation_spec())
        self.action_space = spaces.Discrete(self._env.action_spec().num_values)
        self._observation: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in a new maze; with a seed, in a new simulation, which is slower."""
        super().reset(seed=seed)
        if seed is not None:
            # The maze has a generator of its own, which takes a seed only when it is made.
            self._env.close()
            self._env = self._make(seed=int(self.np_random.integers(2**31)), **self._arguments)
        self._observation = self._as_in_space(self._env.reset().observation)
        return self._observation, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step of 1 / `control_freq` seconds."""
        step = self._env.step(int(action))
        self._observation = self._as_in_space(step.observation)
        # A discount of 0 would be an end that is no time-out; mazes have none, but physics may fail.
        terminated = bool(step.last() and step.discount == 0)
        return self._observation, float(step.reward), terminated, bool(step.last() and not terminated), {}

    def render(self) -> Any:
        """Return a picture, [H, W, 3]."""
        if self.render_mode is None:
            return None
        if self._view == "top":
            return self._env.physics.render(256, 256, camera_id="top_camera")
        image = self._observation["image"] if isinstance(self._observation, dict) else self._observation
        return image.copy()

    def close(self) -> None:
        """Free the simulation and what it draws with."""
        if self._env is not None:
            self._env.close()
            self._env = None

    def _as_in_space(self, observation: Any) -> Any:
        if isinstance(self.observation_space, spaces.Dict):
            parts = self.observation_space.spaces
            return {name: np.asarray(observation[name], space.dtype) for name, space in parts.items()}
        return observation


def _space(spec: Any) -> spaces.Space:
    """Convert a dm_env spec; real numbers become float32, and are not bounded."""
    if isinstance(spec, dict):
        return spaces.Dict({name: _space(part) for name, part in spec.items()})
    if spec.dtype == np.uint8:
        return spaces.Box(int(spec.minimum), int(spec.maximum), spec.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, spec.shape, np.float32)
