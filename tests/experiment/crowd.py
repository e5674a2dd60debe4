"""An environment of several agents, by the path of its class."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

PERIODS = {"steady": 1, "steadier": 1, "seldom": 3, "0": 2}  # an agent acts at every so many steps
LENGTH = 12


class Crowd(MultiAgentEnv):
    """Episodes of 12 steps; an agent gets 1 for an action that is 1, and ``bonus`` for each."""

    def __init__(self, config: dict[str, Any] | None = None):
        super().__init__()
        self.bonus = (config or {}).get("bonus", 0.0)
        self.possible_agents = self.agents = list(PERIODS)
        self.observation_spaces = dict.fromkeys(PERIODS, gym.spaces.Box(-1, 1, (2,), np.float32))
        self.action_spaces = dict.fromkeys(PERIODS, gym.spaces.Discrete(2))
        self.random = np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.steps = 0
        self.earned = dict.fromkeys(PERIODS, 0.0)
        return self._observe(), {}

    def step(self, actions):
        self.steps += 1
        for agent, action in actions.items():
            self.earned[agent] += self.bonus + float(action)
        done = self.steps == LENGTH
        observations = self._observe(everyone=done)
        rewards = {agent: self.earned[agent] for agent in observations}
        self.earned.update(dict.fromkeys(observations, 0.0))
        return observations, rewards, {"__all__": done}, {"__all__": False}, {}

    def _observe(self, everyone: bool = False):
        seeing = [agent for agent, period in PERIODS.items() if everyone or self.steps % period == 0]
        return {agent: self.random.uniform(-1, 1, 2).astype(np.float32) for agent in seeing}
