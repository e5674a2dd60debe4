"""MiniWorld's Sign, with another sign and another goal in each episode."""

from __future__ import annotations

from typing import Any

from miniworld.envs.sign import Sign
from pydantic import Field

from rllib_recattn.envs.miniworld.worlds.own_world import OwnWorld, WorldSettings
from rllib_recattn.errors import validate
from rllib_recattn.success import SUCCESS

_COLOURS, _SHAPES = 3, 2


class RandomSignSettings(WorldSettings):
    """What the task can be told; see :class:`RandomSign`."""

    max_steps: int = Field(ge=1)


class RandomSign(OwnWorld, Sign):
    """Read a sign behind a wall, and walk back to the object of the colour that it names.

    MiniWorld's Sign (Liu et al. 2021, https://arxiv.org/abs/2008.02790), where the sign and the goal are arguments and
    stay what they are; here both are drawn again at each reset. Of six objects, a box and a key in blue, red and green
    each, the agent should touch the one whose shape it is told and whose colour is written on a sign round the corner.

    Observation:
        Dict of ``obs``, Box(0, 255), uint8, [obs_height, obs_width, 3], what the agent sees, 60 degrees from top to
        bottom; and ``goal``, Discrete(2), the shape: 0 box, 1 key.

    Actions:
        Discrete(4): 0 turn left, 1 turn right, 2 move forward, 3 end the episode; by 45 degrees and 0.7 metres. A step
        into a wall or an object leaves the agent where it is.

    Rewards:
        1 at the right object, −1 at any other, 0 for all else.

    Episode:
        The agent starts at a random place of the room with five of the objects, looking in a random direction.
        Terminated near any object, or by action 3. Truncated after `max_steps`. The last ``info`` has ``success``, a
        bool: whether it was the right object.

    Args:
        max_steps: Limit of steps.
        obs_width: Columns of what the agent sees.
        obs_height: Rows of what the agent sees.
        render_mode: "rgb_array", "human" or None.
        view: What ``render`` draws: what the "agent" sees, larger, or the rooms from the "top".

    Raises:
        SettingsError: A setting is out of range or of a wrong type.
    """

    def __init__(
        self,
        max_steps: int = 40,
        obs_width: int = 80,
        obs_height: int = 60,
        render_mode: str | None = None,
        view: str = "agent",
    ) -> None:
        settings = validate(
            RandomSignSettings,
            {
                "max_steps": max_steps,
                "obs_width": obs_width,
                "obs_height": obs_height,
                "render_mode": render_mode,
                "view": view,
            },
            where="MiniWorld-RandomSign",
        )
        super().__init__(max_episode_steps=settings.max_steps, **settings.model_dump(exclude={"max_steps"}))

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take one of the four actions; the class describes them."""
        observation, reward, terminated, truncated, info = super().step(action)
        if terminated or truncated:
            info[SUCCESS] = reward > 0
        return observation, reward, terminated, truncated, info

    def _gen_world(self) -> None:
        self._color_index = int(self.np_random.integers(_COLOURS))
        self._goal = int(self.np_random.integers(_SHAPES))
        super()._gen_world()
