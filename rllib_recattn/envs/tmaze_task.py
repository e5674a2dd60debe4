"""The T-Maze task: what its scalar and its vectorised environment share.

Remember one bit, seen once, along a corridor, and turn the way it said (Bakker, 2001), with Gray-coded positions
and distractors as in the AGaLiTe paper (Pramanik et al., 2024, https://arxiv.org/abs/2310.15719).

All randomness of an episode follows from one 64-bit key, drawn from the environment's ``np_random`` at reset. Bits
are a hash of key and step: the same for one maze and for N at once, and N take one NumPy expression.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from rllib_recattn.errors import Settings

UP, DOWN, LEFT, RIGHT = range(4)

STEP_REWARD = -0.1
RIGHT_TURN_REWARD = 4.0
WRONG_TURN_REWARD = -1.0

# Of SplitMix64. As NumPy numbers, whose products with arrays wrap around at 64 bits.
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


class TMazeSettings(Settings):
    """What a T-Maze can be told.

    Attributes:
        corridor_length: Number of cells L, start and junction included. The shortest way to the goal takes L
            steps: L − 1 moves and the turn.
        n_distractors: Number of random bits in every observation but the first.
        max_episode_steps: Steps after which an episode is truncated. None stands for max(1000, 5 L).
        render_mode: What ``render`` returns: "ansi" text, "rgb_array" a frame, None nothing.
    """

    corridor_length: int = Field(default=20, ge=2, le=10_000)
    n_distractors: int = Field(default=6, ge=0)
    max_episode_steps: int | None = Field(default=None)
    render_mode: Literal["ansi", "rgb_array"] | None = None

    @field_validator("max_episode_steps")
    @classmethod
    def _leave_time_to_reach_the_goal(cls, limit: int | None, info: ValidationInfo) -> int | None:
        shortest = info.data.get("corridor_length", 1)
        if limit is not None and limit < shortest:
            raise PydanticCustomError(
                "too_few_steps",
                "should be at least {shortest}, the steps that the shortest way to the goal takes",
                {"shortest": shortest},
            )
        return limit

    @property
    def step_limit(self) -> int:
        """Steps after which an episode is truncated."""
        return self.max_episode_steps or max(1000, 5 * self.corridor_length)


def gray_code(n: int, bits: int) -> NDArray[np.float32]:
    """Gray code of 0 … n − 1: neighbours differ in one bit.

    Args:
        n: How many numbers.
        bits: Digits of each; 2**bits ≥ n.

    Returns:
        Zeros and ones of shape [n, bits], most significant digit first.
    """
    numbers = np.arange(n)
    codes = numbers ^ (numbers >> 1)
    return ((codes[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.float32)


def draw_episode_key(np_random: np.random.Generator) -> np.uint64:
    """Draw the key that all randomness of one episode follows from."""
    return np_random.integers(2**64, dtype=np.uint64)


def random_bits(keys: NDArray[np.uint64], steps: NDArray[np.int64], n: int) -> NDArray[np.uint8]:
    """Fair bits as a pure function of an episode's key and its step.

    They are the outputs of SplitMix64 (Steele, Lea & Flood, 2014), seeded with the key.

    Args:
        keys: Keys of the episodes, [B].
        steps: Steps of the episodes, [B].
        n: How many bits for each.

    Returns:
        Zeros and ones of shape [B, n].
    """
    n_words = -(-n // 64)
    counters = steps[:, None] * n_words + np.arange(1, n_words + 1)
    words = keys[:, None] + counters.view(np.uint64) * _INCREMENT
    words = (words ^ (words >> _SHIFTS[0])) * _MULTIPLIERS[0]
    words = (words ^ (words >> _SHIFTS[1])) * _MULTIPLIERS[1]
    words ^= words >> _SHIFTS[2]
    return np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), axis=1, count=n, bitorder="little")


def draw_cues(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Cues of episodes, UP or DOWN, [B]: the bit of step 0, where there are no distractors."""
    return random_bits(keys, np.zeros(len(keys), np.int64), 1)[:, 0].astype(np.int64)


class TMazeObserver:
    """Turns states into observations: two cue entries, the position in Gray code, the distractors.

    Attributes:
        space: Box(0, 1) of size 2 + bits + n_distractors, where bits = max(8, ⌈log2 L⌉).
    """

    def __init__(self, corridor_length: int, n_distractors: int) -> None:
        bits = max(8, (corridor_length - 1).bit_length())
        self._position_codes = gray_code(corridor_length, bits)
        self._position = slice(2, 2 + bits)
        self._distractors = slice(2 + bits, 2 + bits + n_distractors)
        self._n_distractors = n_distractors
        self.space = spaces.Box(0.0, 1.0, (2 + bits + n_distractors,), np.float32)

    def __call__(
        self,
        cues: NDArray[np.int64],
        positions: NDArray[np.int64],
        keys: NDArray[np.uint64],
        steps: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Observe B mazes.

        Args:
            cues: UP or DOWN, [B].
            positions: Cells of the agents, 0 … L − 1, [B].
            keys: Keys of the episodes, [B].
            steps: Steps since the reset, [B].

        Returns:
            Observations of shape [B, 2 + bits + n_distractors]. Those of step 0 have the cue, one-hot, and no
            distractors; all others have no cue.
        """
        observations = np.zeros((len(cues), *self.space.shape), np.float32)
        observations[:, self._position] = self._position_codes[positions]
        observations[:, self._distractors] = random_bits(keys, steps, self._n_distractors)
        is_first = steps == 0
        if is_first.any():
            observations[is_first, self._distractors] = 0.0
            observations[is_first, cues[is_first]] = 1.0
        return observations
