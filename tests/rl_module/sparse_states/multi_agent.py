"""Agents that skip steps, join late, die early, with and without memory, and what their states should have been."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env import MultiAgentEnv

import rllib_recattn as ra
from rllib_recattn.inputs.input_settings import WITHOUT_MLP
from tests.rl_module.sparse_states.agents import ALGORITHMS

MAX_SEQ_LEN = {"short": 3, "long": 5}  # by policy; "plain" has no memory

ALWAYS_THERE = {  # agent → policy, first step, step at which it is gone, steps from one action to the next
    "one": ("short", 0, None, 1),
    "two": ("long", 0, None, 1),
    "three": ("plain", 0, None, 1),
}
SKIPPING = {
    **ALWAYS_THERE,
    "every third": ("short", 0, None, 3),
    "rarely": ("long", 1, None, 19),
    "late": ("long", 6, None, 1),
    "dies": ("short", 0, 8, 1),
    "dies without memory": ("plain", 2, 11, 2),
    "comes and goes": ("long", 4, 15, 2),
    "dies waiting": ("short", 0, 10, 4),
}


class Crowd(MultiAgentEnv):
    """Agents that act at their own steps. What each saw is logged by episode, for all environments of the process."""

    log: ClassVar[dict[Any, list[np.ndarray]]] = defaultdict(list)

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.agents_config = config["agents"]
        self.length = config["length"]
        self.possible_agents = list(self.agents_config)
        self.agents = self.possible_agents
        space = gym.spaces.Box(-10, 10, (3,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, space)
        self.action_spaces = dict.fromkeys(self.possible_agents, gym.spaces.Discrete(2))
        self.episode = 0

    def reset(self, *, seed=None, options=None):
        if seed is not None or self.episode == 0:
            self.random = np.random.default_rng(seed)
        self.episode += 1
        self.t = 0
        return self._observe(self._acting()), {}

    def step(self, actions):
        assert set(actions) == set(self._acting())
        self.t += 1
        over = self.t >= self.length
        dying = [agent for agent, (_, _, gone, _) in self.agents_config.items() if gone == self.t]
        alive = [a for a, (_, first, gone, _) in self.agents_config.items() if first < self.t and not self._gone(gone)]
        # At the end all that are left see something; of those that die, only the ones whose turn it is do.
        seeing = alive if over else [*self._acting(), *(a for a in dying if self._is_turn(a))]
        ended = {**dict.fromkeys(dying, True), "__all__": over and self.episode % 2 == 0}
        return self._observe(seeing), dict.fromkeys(seeing, 1.0), ended, {"__all__": over}, {}

    def _gone(self, gone):
        return gone is not None and self.t >= gone

    def _is_turn(self, agent):
        _, first, _, period = self.agents_config[agent]
        return self.t >= first and (self.t - first) % period == 0

    def _acting(self):
        return [a for a, (_, _, gone, _) in self.agents_config.items() if self._is_turn(a) and not self._gone(gone)]

    def _observe(self, agents):
        seen = {agent: self.random.normal(size=3).astype(np.float32) for agent in agents}
        for agent, observation in seen.items():
            self.log[id(self), self.episode, agent].append(observation)
        return seen


def crowd_config(
    algorithm: str = "PPO", *, agents: dict[str, Any], sparse: bool = True, length: int = 40, num_envs: int = 2
) -> AlgorithmConfig:
    """Two policies with memory and one without, for the agents of a crowd."""
    policies = {agent: policy for agent, (policy, *_) in agents.items()}
    config = (
        ALGORITHMS[algorithm]()
        .environment(Crowd, env_config={"agents": agents, "length": length})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=num_envs)
        .multi_agent(
            policies={*MAX_SEQ_LEN, "plain"}, policy_mapping_fn=lambda agent, episode, **kwargs: policies[agent]
        )
        .rl_module(
            rl_module_spec=MultiRLModuleSpec(
                rl_module_specs={
                    policy: RLModuleSpec(model_config={"fcnet_hiddens": [4], "head_fcnet_hiddens": [4]})
                    for policy in (*MAX_SEQ_LEN, "plain")
                }
            )
        )
        .debugging(seed=0, log_level="ERROR")
    )
    for policy, max_seq_len in MAX_SEQ_LEN.items():
        settings = {"max_seq_len": max_seq_len, "sparse_states": sparse, "d_model": 8}
        ra.use_model(config, "gru", policies=[policy], encoder=WITHOUT_MLP, **settings)  # as the replay has it
    return config


def replayed_states(module: Any, agents: dict[str, Any]) -> dict[bytes, tuple[np.ndarray, np.ndarray]]:
    """For each observation that an agent with memory got: its states before and after it, from its first one on."""
    states = {}
    for (_, _, agent), observations in Crowd.log.items():
        policy = agents[agent][0]
        if policy not in MAX_SEQ_LEN:
            continue
        model = module[policy].encoder.encoder.model
        before = model.initial_state(1).detach()
        for observation in observations:
            with torch.no_grad():
                after = model(torch.from_numpy(observation)[None, None], before)[1]
            states[observation.tobytes()] = (before[0].numpy(), after[0].numpy())
            before = after
    return states
