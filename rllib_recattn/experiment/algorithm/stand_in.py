"""An environment that cannot be stepped, for what RLlib asks an environment: its spaces, which are known."""

from __future__ import annotations

from typing import Any

import gymnasium
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rllib_recattn.experiment.definition.env_probe import EnvProbe


class _Agent(gymnasium.Env[Any, Any]):
    def __init__(self, probe: EnvProbe):
        self.observation_space: Any = probe.observation_space
        self.action_space: Any = probe.action_space


class _Agents(MultiAgentEnv):
    def __init__(self, probe: EnvProbe):
        self.observation_space: Any = probe.observation_space
        self.action_space: Any = probe.action_space
        self.agents = self.possible_agents = list(probe.agents or ())
        if probe.spaces:
            self.observation_spaces: Any = {agent: observed for agent, (observed, _) in probe.spaces.items()}
            self.action_spaces: Any = {agent: acted for agent, (_, acted) in probe.spaces.items()}
        super().__init__()


def stand_in(probe: EnvProbe) -> Any:
    """Return an environment with the spaces, and the agents, that were found by a probe.

    Examples:
        >>> from gymnasium.spaces import Discrete
        >>> stand_in(EnvProbe(Discrete(3), Discrete(2))).action_space
        Discrete(2)
    """
    return _Agent(probe) if probe.agents is None else _Agents(probe)
