"""Acting where an action mask allows nothing is an error of the environment, told with its name and the step."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_recattn.inputs.masks import ActionMask
from rllib_recattn.rl_module.episodes import module_of
from rllib_recattn.rl_module.masked_actions import ActionMaskMixin


class ActionMaskCheck(ConnectorV2):
    """Env-to-module: looks at the masks of all agents that are about to act.

    The last observation of an episode reaches the module as well, but no action is taken by it: its mask may be zeros.

    Args:
        env: The environment's name.
    """

    def __init__(self, input_observation_space: Any = None, input_action_space: Any = None, *, env: str = "?"):
        super().__init__(input_observation_space, input_action_space)
        self._env = env

    def __call__(
        self, *, rl_module: RLModule | None, batch: dict[str, Any], episodes: list[Any], **kwargs: Any
    ) -> dict[str, Any]:
        """Check, and return the batch as it is.

        Raises:
            SettingsError: If a mask allows nothing.
        """
        if rl_module is None:
            return batch
        for episode in self.single_agent_episode_iterator(episodes, agents_that_stepped_only=True):
            mask = mask_of(module_of(rl_module, episode))
            if mask is None or episode.is_done:
                continue
            masks = np.asarray(episode.get_observations(-1)[mask.key])[None]
            if mask.dead_ends({mask.key: masks})[0]:
                raise mask.no_action(at_step(self._env, episode))
        return batch


def mask_of(module: Any) -> ActionMask | None:
    """Return the action mask of a module; None for one without."""
    module = module.unwrapped()
    return module.action_mask if isinstance(module, ActionMaskMixin) else None


def name_of_env(config: Any) -> str:
    """Return the name of a config's environment, as far as it has one."""
    return config.env if isinstance(config.env, str) else getattr(config.env, "__name__", "?")


def at_step(env: str, episode: Any) -> str:
    """Return where an episode is, for an error message."""
    agent = getattr(episode, "agent_id", None)
    of_agent = "" if agent is None else f", agent {agent!r}"
    return f"environment {env!r}{of_agent}, step {episode.t} of an episode"
