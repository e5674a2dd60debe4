"""What an agent sees of MiniGrid, in spaces that networks can take.

MiniGrid observes category codes (object, colour and state of each cell in view), a direction and the mission as text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
from minigrid.core.mission import MissionSpace
from numpy.typing import NDArray

from rllib_recattn.errors import SettingsError

# More missions than any of MiniGrid's tasks has; a table of them is made when the environment is.
_MOST_MISSIONS = 100_000


class OneHotImage:
    """Category codes [V, V, 3] as one-hot vectors [V, V, 20]: 11 objects, 6 colours, 3 states of a door.

    The numbers are those of MiniGrid's ``OneHotPartialObsWrapper``, which has a Python loop over cells.

    Args:
        codes: The space of the codes.

    Attributes:
        space: Box(0, 1), uint8, [V, V, 20].
    """

    def __init__(self, codes: spaces.Box) -> None:
        height, width, _ = codes.shape
        sizes = [len(OBJECT_TO_IDX), len(COLOR_TO_IDX), len(STATE_TO_IDX)]
        self.space = spaces.Box(0, 1, (height, width, sum(sizes)), np.uint8)
        cell = np.arange(height * width).reshape(height, width, 1) * sum(sizes)
        self._starts = cell + np.cumsum([0, *sizes[:-1]])

    def __call__(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode codes [V, V, 3] as [V, V, 20]."""
        image = np.zeros(self.space.shape, np.uint8)
        image.ravel()[self._starts + codes] = 1
        return image


class MissionSlots:
    """A mission by the words that vary: which colour, which object, and so on, a number each.

    "put the blue ball near the green box" becomes four numbers. Nothing of a mission is lost, since the words around
    them are the same in all missions of a task.

    Args:
        missions: The space of the texts.
        where: The task, for the error message.

    Attributes:
        space: MultiDiscrete with as many values for each slot as there are words for it; None if there is one mission.

    Raises:
        SettingsError: If the missions are not one pattern with words to fill in.
    """

    def __init__(self, missions: spaces.Space, where: str) -> None:
        # MiniGrid is not typed for all to see. BabyAI's own subclass describes no missions.
        pattern: Any = missions
        words = (pattern.ordered_placeholders or []) if type(missions) is MissionSpace else None
        if words is None or math.prod(map(len, words)) > _MOST_MISSIONS:
            raise SettingsError(f"{where}: its missions are no pattern with words to fill in: mission should be 'drop'")
        varying = [index for index, choices in enumerate(words) if len(choices) > 1]
        self.space = spaces.MultiDiscrete([len(words[index]) for index in varying]) if varying else None
        self._slots: dict[str, NDArray[np.int64]] = {}
        for choice in product(*(range(len(choices)) for choices in words)):
            text = pattern.mission_func(*(choices[number] for choices, number in zip(words, choice, strict=True)))
            self._slots.setdefault(text, np.array([choice[index] for index in varying], np.int64))

    def __call__(self, mission: str) -> NDArray[np.int64]:
        """Encode a mission as a number for each slot."""
        return self._slots[mission].copy()


class MiniGridObservation(gymnasium.ObservationWrapper):
    """Encodes the parts of MiniGrid's observations and leaves out the others.

    Args:
        env: An environment that observes as MiniGrid does.
        encoders: For each part that remains, its space and what encodes it. A single part is observed as it is, several
            are a Dict.
    """

    def __init__(self, env: gymnasium.Env, encoders: dict[str, tuple[spaces.Space, Callable[[Any], Any]]]) -> None:
        super().__init__(env)
        self._encoders = [(name, encode) for name, (_, encode) in encoders.items()]
        parts = {name: space for name, (space, _) in encoders.items()}
        self._only = next(iter(parts)) if len(parts) == 1 else None
        self.observation_space = parts[self._only] if self._only else spaces.Dict(parts)

    def observation(self, observation: dict[str, Any]) -> Any:
        """Encode an observation of MiniGrid's."""
        parts = {name: encode(observation[name]) for name, encode in self._encoders}
        return parts[self._only] if self._only else parts
