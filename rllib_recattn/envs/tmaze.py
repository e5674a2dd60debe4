"""T-Maze, one at a time. The task is described at :class:`TMazeEnv`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction, ResetNeeded
from numpy.typing import NDArray

from rllib_recattn.envs.tmaze_task import (
    LEFT,
    RIGHT,
    RIGHT_TURN_REWARD,
    STEP_REWARD,
    WRONG_TURN_REWARD,
    TMazeObserver,
    TMazeSettings,
    draw_cues,
    draw_episode_key,
)
from rllib_recattn.errors import validate


class TMazeEnv(gymnasium.Env[NDArray[np.float32], int]):
    """One T-Maze.

    The agent starts in cell 0 of a corridor of L cells; cell L − 1 is the junction.

    Observation:
        Box(0, 1), float32: the cue in two entries (one-hot up, down; only in the first observation, zero
        afterwards), the cell in Gray code (8 bits, or as many as L needs), `n_distractors` random bits (zero
        in the first observation).

    Actions:
        Discrete(4): 0 up, 1 down, 2 left, 3 right. At the junction up and down end the episode; elsewhere they
        leave the agent where it is, as left does in the first cell and right at the junction. Left leads out of
        the junction again.

    Rewards:
        −0.1 a step; the turn at the junction gives +4 in the cued direction and −1 in the other instead.

    End:
        Terminated by the turn, truncated after `max_episode_steps`; a turn in the last step terminates. The last
        ``info`` has ``success``, a bool: whether the agent turned in the cued direction.

    ``render`` shows the cue: its pictures are for people, not for the agent.

    ``gymnasium.make`` keeps an argument `max_episode_steps` to itself and adds its ``TimeLimit`` wrapper, which can
    only shorten the limit and then ends episodes without ``success``. This class and the vectorised environment
    take the argument as described here.

    Args:
        corridor_length: Number of cells L, 2 … 10,000.
        n_distractors: Number of random bits in the observation.
        max_episode_steps: Limit of steps, at least L. None stands for max(1000, 5 L).
        render_mode: "ansi", "rgb_array" or None.

    Raises:
        SettingsError: A setting is out of range or of a wrong type.
    """

    # Gymnasium declares an instance variable, so this cannot be a ClassVar.
    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        corridor_length: int = 20,
        n_distractors: int = 6,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        settings = validate(
            TMazeSettings,
            {
                "corridor_length": corridor_length,
                "n_distractors": n_distractors,
                "max_episode_steps": max_episode_steps,
                "render_mode": render_mode,
            },
            where="TMaze",
        )
        self.render_mode = settings.render_mode
        self._observer = TMazeObserver(settings.corridor_length, settings.n_distractors)
        self.observation_space = self._observer.space
        self.action_space = spaces.Discrete(4)
        self._junction = settings.corridor_length - 1
        self._step_limit = settings.step_limit
        self._is_running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds the episodes from here on; None continues the random sequence.
            options: Unused.

        Returns:
            The first observation, the only one with the cue, and an empty info.
        """
        super().reset(seed=seed)
        self._keys = np.array([draw_episode_key(self.np_random)])
        self._cues = draw_cues(self._keys)
        self._position = self._steps = 0
        self._turn: int | None = None
        self._is_running = True
        return self._observe(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take one of the four actions; the class describes them.

        Raises:
            InvalidAction: The action is none of 0, 1, 2, 3.
            ResetNeeded: There is no episode: none was begun, or the last one has ended.
        """
        if not self._is_running:
            raise ResetNeeded("T-Maze: the episode is over or none was begun: call reset() before step()")
        if not self.action_space.contains(action):
            raise InvalidAction(f"T-Maze: action = {action!r}: should be 0, 1, 2 or 3 (up, down, left, right)")
        self._steps += 1
        reward, success = STEP_REWARD, False
        if action == LEFT:
            self._position = max(self._position - 1, 0)
        elif action == RIGHT:
            self._position = min(self._position + 1, self._junction)
        elif self._position == self._junction:
            self._turn = int(action)
            success = self._turn == self._cues[0].item()
            reward = RIGHT_TURN_REWARD if success else WRONG_TURN_REWARD
        terminated = self._turn is not None
        truncated = not terminated and self._steps >= self._step_limit
        self._is_running = not (terminated or truncated)
        info = {} if self._is_running else {"success": success}
        return self._observe(), reward, terminated, truncated, info

    def render(self) -> str | NDArray[np.uint8] | None:  # type: ignore[override]
        """Draw the maze as `render_mode` says.

        Returns:
            Text for "ansi", a frame of shape [height, width, 3] for "rgb_array", None without a mode.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("T-Maze: render() needs a render_mode: 'ansi' or 'rgb_array'")
            return None
        # Only those who render pay for the import of the drawing library.
        from rllib_recattn.envs.tmaze_render import TMazePicture, draw

        picture = TMazePicture(
            corridor_length=self._junction + 1,
            step_limit=self._step_limit,
            cue=self._cues[0].item(),
            position=self._position,
            turn=self._turn,
            step=self._steps,
        )
        return draw(picture, self.render_mode)

    def _observe(self) -> NDArray[np.float32]:
        return self._observer(self._cues, np.array([self._position]), self._keys, np.array([self._steps]))[0]
