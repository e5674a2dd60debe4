"""T-Maze, many at once: the episodes of :class:`~rllib_recattn.envs.tmaze.TMazeEnv`, in NumPy over all mazes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from rllib_recattn.envs.tmaze_task import (
    DOWN,
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

_MOVES = np.zeros(4, np.int64)
_MOVES[LEFT], _MOVES[RIGHT] = -1, 1

_NO_TURN = -1


class TMazeVectorSettings(TMazeSettings):
    """What a vector of T-Mazes can be told.

    Attributes:
        num_envs: Number of mazes.
    """

    num_envs: int = Field(default=1, ge=1)


class TMazeVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]):
    """N T-Mazes that step together.

    Observations, rewards, ends and infos are those of ``SyncVectorEnv`` over N scalar environments with the same
    seeds, and so is the autoreset: the step after the end of an episode ignores the action and returns the first
    observation of the next one, with reward 0. :class:`~rllib_recattn.envs.tmaze.TMazeEnv` describes the task.

    Args:
        num_envs: Number of mazes, N.
        corridor_length: Number of cells L, 2 … 10,000.
        n_distractors: Number of random bits in the observation.
        max_episode_steps: Limit of steps, at least L. None stands for max(1000, 5 L).
        render_mode: "ansi", "rgb_array" or None.

    Raises:
        SettingsError: A setting is out of range or of a wrong type.
    """

    # Gymnasium declares an instance variable, so this cannot be a ClassVar.
    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        corridor_length: int = 20,
        n_distractors: int = 6,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        settings = validate(
            TMazeVectorSettings,
            {
                "num_envs": num_envs,
                "corridor_length": corridor_length,
                "n_distractors": n_distractors,
                "max_episode_steps": max_episode_steps,
                "render_mode": render_mode,
            },
            where="TMaze",
        )
        self.num_envs = settings.num_envs
        self.render_mode = settings.render_mode
        self._observer = TMazeObserver(settings.corridor_length, settings.n_distractors)
        self.single_observation_space = self._observer.space
        self.single_action_space = spaces.Discrete(4)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._junction = settings.corridor_length - 1
        self._step_limit = settings.step_limit

        self._generators: list[np.random.Generator] = []
        self._seeds: list[int] = []
        for _ in range(self.num_envs):
            generator, seed = seeding.np_random()
            self._generators.append(generator)
            self._seeds.append(seed)
        self._keys = np.zeros(self.num_envs, np.uint64)
        self._cues = np.zeros(self.num_envs, np.int64)
        self._positions = np.zeros(self.num_envs, np.int64)
        self._steps = np.zeros(self.num_envs, np.int64)
        self._turns = np.full(self.num_envs, _NO_TURN)
        self._needs_reset = np.zeros(self.num_envs, np.bool_)
        self._was_reset = False

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random number generators of the mazes."""
        return tuple(self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seeds of the random number generators."""
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode in every maze.

        Args:
            seed: A number s seeds maze i with s + i, a sequence gives each maze its own. None, as a whole or in
                the sequence, lets the random numbers go on.
            options: Unused.

        Returns:
            The first observations, [N, D], and an empty info.

        Raises:
            ValueError: There are more or fewer seeds than mazes.
        """
        seeds = range(seed, seed + self.num_envs) if isinstance(seed, (int, np.integer)) else seed
        if seeds is not None:
            if len(seeds) != self.num_envs:
                raise ValueError(f"T-Maze: seed = {seed!r}: should be a number or {self.num_envs} of them")
            for index, one_seed in enumerate(seeds):
                if one_seed is not None:
                    self._generators[index], self._seeds[index] = seeding.np_random(one_seed)
        self._start_episodes(range(self.num_envs))
        self._needs_reset = np.zeros(self.num_envs, np.bool_)
        self._was_reset = True
        return self._observe(), {}

    def step(
        self, actions: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take a step in every maze, or start its next episode if the last one has ended.

        Args:
            actions: Actions, integers of shape [N].

        Returns:
            Observations [N, D] float32, rewards [N] float64, terminations [N] bool, truncations [N] bool, and
            infos: in steps that end episodes ``success`` [N] bool, with its mask ``_success`` [N] bool.

        Raises:
            InvalidAction: The actions are not N integers from 0 to 3.
            ResetNeeded: ``reset`` was never called.
        """
        if not self._was_reset:
            raise ResetNeeded("T-Maze: no episode was begun: call reset() before step()")
        actions = self._check(actions)
        is_reset = self._needs_reset
        terminations = (self._positions == self._junction) & (actions <= DOWN) & ~is_reset
        successes = terminations & (actions == self._cues)
        rewards = np.full(self.num_envs, STEP_REWARD)
        rewards[terminations] = WRONG_TURN_REWARD
        rewards[successes] = RIGHT_TURN_REWARD
        rewards[is_reset] = 0.0

        self._positions = np.clip(self._positions + _MOVES[actions], 0, self._junction)
        self._turns = np.where(terminations, actions, _NO_TURN)
        self._steps += 1
        if is_reset.any():
            self._start_episodes(np.flatnonzero(is_reset))

        truncations = (self._steps >= self._step_limit) & ~terminations
        self._needs_reset = terminations | truncations
        infos: dict[str, Any] = {}
        if self._needs_reset.any():
            infos = {"success": successes, "_success": self._needs_reset.copy()}
        return self._observe(), rewards, terminations, truncations, infos

    def render(self) -> tuple[Any, ...] | None:
        """Draw every maze as `render_mode` says.

        Returns:
            N strings for "ansi", N frames of shape [height, width, 3] for "rgb_array", None without a mode.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("T-Maze: render() needs a render_mode: 'ansi' or 'rgb_array'")
            return None
        # Only those who render pay for the import of the drawing library.
        from rllib_recattn.envs.tmaze_render import TMazePicture, draw

        states = zip(self._cues, self._positions, self._turns, self._steps, strict=True)
        pictures = (
            TMazePicture(
                corridor_length=self._junction + 1,
                step_limit=self._step_limit,
                cue=int(cue),
                position=int(position),
                turn=None if turn == _NO_TURN else int(turn),
                step=int(step),
            )
            for cue, position, turn, step in states
        )
        return tuple(draw(picture, self.render_mode) for picture in pictures)

    def _start_episodes(self, indices: Iterable[int]) -> None:
        indices = np.asarray(indices)
        self._keys[indices] = [draw_episode_key(self._generators[index]) for index in indices]
        self._cues[indices] = draw_cues(self._keys[indices])
        self._positions[indices] = 0
        self._steps[indices] = 0
        self._turns[indices] = _NO_TURN

    def _observe(self) -> NDArray[np.float32]:
        return self._observer(self._cues, self._positions, self._keys, self._steps)

    def _check(self, actions: ArrayLike) -> NDArray[np.int64]:
        checked = np.asarray(actions)
        is_valid = checked.shape == (self.num_envs,) and np.issubdtype(checked.dtype, np.integer)
        if not is_valid or checked.min() < 0 or checked.max() > RIGHT:
            raise InvalidAction(f"T-Maze: actions = {actions!r}: should be {self.num_envs} integers, 0 to 3")
        return checked.astype(np.int64, copy=False)
