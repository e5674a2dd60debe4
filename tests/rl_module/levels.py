"""Environments that write down the levels that they were reset to, and what was done in them."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

LENGTH = 6
_OBSERVATIONS = gymnasium.spaces.Box(0, 1, (3,), np.float32)
_ACTIONS = gymnasium.spaces.Discrete(50)


class _Diary:
    """One line of JSON an episode: the level, and the actions in it.

    Args:
        directory: In which each environment has a file of its own.
    """

    def __init__(self, directory: str):
        self._path = Path(directory, f"{os.getpid()}-{uuid.uuid4().hex}.jsonl")
        self._level: int | None = None
        self._actions: list[int] = []

    def begin(self, level: int) -> None:
        self.end()
        self._level, self._actions = level, []

    def add(self, action: Any) -> None:
        self._actions.append(int(action))

    def end(self) -> None:
        if self._level is not None:
            with self._path.open("a") as file:
                file.write(json.dumps([self._level, self._actions]) + "\n")
        self._level = None


class LevelsEnv(gymnasium.Env):
    """Draws its level, a number below 2³¹, from its own generator at each reset, and shows it."""

    observation_space = _OBSERVATIONS
    action_space = _ACTIONS

    def __init__(self, config: Mapping[str, Any]):
        self._diary = _Diary(config["diary"])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        level = int(self.np_random.integers(2**31))
        self._diary.begin(level)
        self._step = 0
        self._observation = np.array([level % 7, level % 5, level % 3], np.float32) / 7
        return self._observation, {}

    def step(self, action: int):
        self._step += 1
        self._diary.add(action)
        ended = self._step == LENGTH
        if ended:
            self._diary.end()
        return self._observation, float(action == 0), ended, False, {}


class MultiAgentLevelsEnv(MultiAgentEnv):
    """The same with two agents."""

    def __init__(self, config: Mapping[str, Any] | None = None):
        super().__init__()
        self._env = LevelsEnv(config)
        self.agents = self.possible_agents = [0, 1]  # the order of strings in a set differs from process to process
        self.observation_spaces = dict.fromkeys(self.agents, _OBSERVATIONS)
        self.action_spaces = dict.fromkeys(self.agents, _ACTIONS)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        observation, _ = self._env.reset(seed=seed)
        return dict.fromkeys(self.agents, observation), {}

    def step(self, actions: dict[str, Any]):
        observation, reward, ended, _, _ = self._env.step(int(actions[0]) * 50 + int(actions[1]))
        agents = self.agents
        return (
            dict.fromkeys(agents, observation),
            dict.fromkeys(agents, reward),
            {"__all__": ended, **dict.fromkeys(agents, ended)},
            {"__all__": False},
            {},
        )


def take_diaries(directory: Path) -> list[list[list[Any]]]:
    """Return what was written since the last time: a list for each environment, of a level and actions an episode."""
    diaries = []
    for path in sorted(directory.glob("*.jsonl")):
        diaries.append([json.loads(line) for line in path.read_text().splitlines()])
        path.unlink()
    return sorted(diaries)  # in an order that does not depend on the names of the files


def levels(diaries: list[list[list[Any]]]) -> list[int]:
    """All levels that were played, environment by environment; the old API stack begins with one that is not."""
    return [level for diary in diaries for level, actions in diary if actions]
