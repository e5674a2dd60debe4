"""Environments that write down every step, for one agent and for a crowd of agents that join, skip steps and die."""

from __future__ import annotations

import json
import random
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

N_NUMBERS = 4  # of an observation
ACTION_SPACES: dict[str, gym.Space] = {
    "discrete": gym.spaces.Discrete(3),
    "multi-discrete": gym.spaces.MultiDiscrete([2, 3]),
    "box": gym.spaces.Box(-10, 10, (2,), np.float32),
}


class _Record:
    """A file to which one environment writes; what an episode was is found again by its number."""

    def __init__(self, directory: str):
        self._path = Path(directory) / f"env-{uuid.uuid4().hex}.jsonl"
        self._numbers = random.SystemRandom()

    def new_episode(self) -> int:
        return self._numbers.randrange(1, 2**30)

    def write(self, **step: Any) -> None:
        plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in step.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain) + "\n")


class Written(gym.Env):
    """Random observations and rewards, in episodes of given lengths that end by termination and truncation in turns.

    Args:
        config: ``directory`` to write to; ``lengths`` of the episodes, one after the other; ``actions``, a key of
            `ACTION_SPACES`; ``as_image``: whether observations have the form of an image, as frame stacking wants it.
    """

    def __init__(self, config: dict[str, Any]):
        self.shape = (N_NUMBERS, 1, 1) if config.get("as_image") else (N_NUMBERS,)
        self.observation_space = gym.spaces.Box(-10, 10, self.shape, np.float32)
        self.action_space = ACTION_SPACES[config["actions"]]
        self.lengths = config["lengths"]
        self.record = _Record(config["directory"])
        self.n_episodes = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.n_episodes += 1
        self.t = 0
        self.number = self.record.new_episode()
        return self._observe(action=None, reward=0.0, ended=False), self._info()

    def step(self, action):
        self.t += 1
        reward = float(np.float32(self.np_random.normal()))
        done = self.t >= self.lengths[self.n_episodes % len(self.lengths)]
        by_truncation = self.n_episodes % 2 == 1
        terminated = done and not by_truncation
        observation = self._observe(action=action, reward=reward, ended=terminated)
        return observation, reward, terminated, done and by_truncation, self._info()

    def _observe(self, **what: Any) -> np.ndarray:
        observation = self.np_random.normal(size=self.shape).astype(np.float32)
        self.record.write(episode=self.number, t=self.t, observation=observation.ravel(), **what)
        return observation

    def _info(self) -> dict[str, Any]:
        return {"episode": self.number, "t": self.t}


class WrittenCrowd(MultiAgentEnv):
    """Agents that act at steps of their own; each of their lives is an episode that is written down for itself.

    Args:
        config: ``directory``; ``actions``; ``length`` of the episodes; ``agents``: agent → its first step, the step at
            which it is gone or None, and the steps from one of its actions to the next.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.plan = config["agents"]
        self.length = config["length"]
        self.possible_agents = list(self.plan)
        self.agents = self.possible_agents
        space = gym.spaces.Box(-10, 10, (N_NUMBERS,), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, space)
        self.action_spaces = dict.fromkeys(self.possible_agents, ACTION_SPACES[config["actions"]])
        self.record = _Record(config["directory"])
        self.n_episodes = 0

    def reset(self, *, seed=None, options=None):
        if seed is not None or self.n_episodes == 0:
            self.random = np.random.default_rng(seed)
        self.n_episodes += 1
        self.t = 0
        self.lives = {agent: self.record.new_episode() for agent in self.possible_agents}
        self.seen: dict[str, int] = defaultdict(int)
        self.last: dict[str, Any] = {}
        self.last_seen: dict[str, np.ndarray] = {}
        observations = {agent: self._observe(agent, None, 0.0, False) for agent in self._acting()}
        return observations, {agent: self._info(agent) for agent in observations}

    def step(self, actions):
        assert set(actions) == set(self._acting())
        self.last |= actions
        self.t += 1
        over = self.t >= self.length
        by_termination = self.n_episodes % 2 == 0
        dying = [agent for agent, (_, gone, _) in self.plan.items() if gone == self.t]
        alive = [agent for agent, (first, gone, _) in self.plan.items() if first < self.t and not self._gone(gone)]
        # At the end all that are left see something; of those that die, only the ones whose turn it is do.
        seeing = alive if over else [*self._acting(), *(agent for agent in dying if self._is_turn(agent))]
        # What comes between two of an agent's actions belongs to the first: it is given when the agent sees again.
        rewards = {agent: float(np.float32(self.random.normal())) for agent in seeing if self.seen[agent]}
        ended = {**dict.fromkeys(dying, True), "__all__": over and by_termination}
        observations = {
            agent: self._observe(
                agent,
                self.last.get(agent) if self.seen[agent] else None,
                rewards.get(agent, 0.0),
                agent in dying or (over and by_termination),
            )
            for agent in seeing
        }
        for agent in dying:
            if agent not in seeing and self.seen[agent]:  # RLlib repeats what such an agent saw last
                self._observe(agent, self.last[agent], 0.0, True, self.last_seen[agent])
        infos = {agent: self._info(agent) for agent in observations}
        return observations, rewards, ended, {"__all__": over and not by_termination}, infos

    def _gone(self, gone):
        return gone is not None and self.t >= gone

    def _is_turn(self, agent):
        first, _, period = self.plan[agent]
        return self.t >= first and (self.t - first) % period == 0

    def _acting(self):
        return [agent for agent, (_, gone, _) in self.plan.items() if self._is_turn(agent) and not self._gone(gone)]

    def _observe(
        self, agent: str, action: Any, reward: float, ended: bool, repeated: np.ndarray | None = None
    ) -> np.ndarray:
        observation = self.random.normal(size=N_NUMBERS).astype(np.float32) if repeated is None else repeated
        self.record.write(
            episode=self.lives[agent],
            t=self.seen[agent],
            observation=observation,
            action=action,
            reward=reward,
            ended=ended,
        )
        self.seen[agent] += 1
        self.last_seen[agent] = observation
        return observation

    def _info(self, agent: str) -> dict[str, Any]:
        return {"episode": self.lives[agent], "t": self.seen[agent] - 1}


class Life:
    """One episode of one agent, as its environment wrote it down.

    Attributes:
        observations: [T + 1, N], the last one included.
        actions: [T, …].
        rewards: [T].
        terminated: Whether it ended by itself.
    """

    def __init__(self, steps: list[dict[str, Any]]):
        steps = sorted(steps, key=lambda step: step["t"])
        assert [step["t"] for step in steps] == list(range(len(steps)))
        self.observations = np.array([step["observation"] for step in steps], np.float32)
        self.actions = np.array([step["action"] for step in steps[1:]])
        self.rewards = np.array([step["reward"] for step in steps[1:]], np.float32)
        self.terminated = steps[-1]["ended"]

    def __len__(self) -> int:
        return len(self.actions)


def read_lives(directory: Path) -> dict[int, Life]:
    """Return every episode that was written down, by its number."""
    steps = defaultdict(list)
    for path in directory.glob("env-*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            step = json.loads(line)
            steps[step["episode"]].append(step)
    return {number: Life(of_episode) for number, of_episode in steps.items()}
