"""A T-maze in three dimensions: the colour of a box beside the start says which way to turn at the end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import spaces
from miniworld.entity import Box
from miniworld.params import DEFAULT_PARAMS
from numpy.typing import NDArray
from pydantic import Field

from rllib_recattn.envs.miniworld.worlds.miniworld_internals import reward_of
from rllib_recattn.envs.miniworld.worlds.own_world import OwnWorld, WorldSettings
from rllib_recattn.errors import validate
from rllib_recattn.success import SUCCESS

# The colours of the cue, for the left arm and the right one.
CUES = ("red", "blue")

# Metres and degrees of a step, those of MiniWorld's Sign.
STEP, TURN = 0.7, 45

# In metres. The corridor is too narrow for a step to the side or askew, so that where an agent walks cannot stand in
# for what it remembers. The bar of the T has room for one step, so that from wherever it starts it can turn there.
_CORRIDOR, _BAR = 1.2, 1.7
_BOX = 0.8
# As high as the agent, whose eyes are 1.5 metres above the floor: a lower one would fill little of its view.
_CUE = [_BOX, 1.6, _BOX]
# From the corridor's middle to the cue, behind the walls of its niche: it cannot be seen from further along.
_NICHE_DEPTH, _TO_CUE = 1.3, 1.4
_TO_GOAL, _ARM = 2.6, 3.1


class MemoryTMazeSettings(WorldSettings):
    """What the maze can be told; see :class:`MemoryTMaze`."""

    corridor_length: float = Field(ge=4, le=1000)  # the cue of a shorter one can be seen from its junction
    max_steps: int = Field(ge=1)


class MemoryTMaze(OwnWorld):
    """Remember the colour of a box along a corridor, and turn the way that it said.

    The agent starts in front of a niche with a box, the cue, and looks at it: it is red or blue, with even odds. On
    its right a corridor leads to a junction, where it should turn left if the box was red, right if it was blue. Yellow
    boxes stand at the ends of both arms. Four steps along the corridor the cue is out of sight, even for those who turn
    round; those who do not have it in view for their first step or two, of the 12 or 13 that the shortest way of the
    usual length takes.

    Observation:
        Box(0, 255), uint8, [obs_height, obs_width, 3]: what the agent sees, 60 degrees from top to bottom.

    Actions:
        Discrete(3): 0 turn left, 1 turn right, 2 move forward; by 45 degrees and 0.7 metres. A step into a wall or a
        box leaves the agent where it is.

    Rewards:
        1 − 0.2 · steps / `max_steps` at the box in the right arm; 0 for all else.

    Episode:
        The agent starts within a step's length of the middle of the niche, at a random place, so that how far it has
        walked says nothing of the cue either. Terminated near a box at the end of an arm, whichever it is. Truncated
        after `max_steps`. The last ``info`` has ``success``, a bool: whether it was the right arm.

    Args:
        corridor_length: Metres from the middle of the niche to the junction, 4 … 1,000.
        max_steps: Limit of steps.
        obs_width: Columns of what the agent sees.
        obs_height: Rows of what the agent sees.
        render_mode: "rgb_array", "human" or None.
        view: What ``render`` draws: what the "agent" sees, larger, or the maze from the "top".

    Raises:
        SettingsError: A setting is out of range or of a wrong type.
    """

    def __init__(
        self,
        corridor_length: float = 4.2,
        max_steps: int = 150,
        obs_width: int = 40,
        obs_height: int = 30,
        render_mode: str | None = None,
        view: str = "agent",
    ) -> None:
        settings = validate(
            MemoryTMazeSettings,
            {
                "corridor_length": corridor_length,
                "max_steps": max_steps,
                "obs_width": obs_width,
                "obs_height": obs_height,
                "render_mode": render_mode,
                "view": view,
            },
            where="MiniWorld-MemoryTMaze",
        )
        self._length = settings.corridor_length
        params = DEFAULT_PARAMS.no_random()
        params.set("forward_step", STEP)
        params.set("turn_step", TURN)
        super().__init__(
            max_episode_steps=settings.max_steps,
            params=params,
            **settings.model_dump(exclude={"corridor_length", "max_steps"}),
        )
        self.action_space: spaces.Discrete = spaces.Discrete(self.actions.move_forward + 1)

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take one of the three actions; the class describes them."""
        observation, _, _, truncated, info = super().step(action)
        reached = [bool(self.near(goal)) for goal in self._goals]
        success = reached[self._cue]
        terminated = any(reached)
        if terminated or truncated:
            info[SUCCESS] = success
        return observation, reward_of(self) if success else 0.0, terminated, truncated and not terminated, info

    def _gen_world(self) -> None:
        half, length = _CORRIDOR / 2, self._length
        corridor = self.add_rect_room(min_x=-1, max_x=length, min_z=-half, max_z=half)
        niche = self.add_rect_room(min_x=-half, max_x=half, min_z=-half - _NICHE_DEPTH, max_z=-half)
        bar = self.add_rect_room(min_x=length, max_x=length + _BAR, min_z=-_ARM, max_z=_ARM)
        self.connect_rooms(corridor, niche, min_x=-half, max_x=half)
        self.connect_rooms(corridor, bar, min_z=-half, max_z=half)
        self._cue = int(self.np_random.integers(len(CUES)))
        self.place_entity(Box(CUES[self._cue], _CUE), pos=np.array([0, 0, -_TO_CUE]), dir=0)
        self._goals = [
            self.place_entity(Box("yellow", _BOX), pos=np.array([length + _BAR / 2, 0, z]), dir=0)
            for z in (-_TO_GOAL, _TO_GOAL)
        ]
        start = self.np_random.uniform(-STEP / 2, STEP / 2)
        self.place_agent(pos=np.array([start, 0, 0]), dir=math.pi / 2)
