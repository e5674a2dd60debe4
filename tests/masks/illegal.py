"""Environments that raise on a forbidden action."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import make_multi_agent

LENGTH = 9


class Illegal(gym.Env[Any, Any]):
    """Rewards the first allowed value of each choice; which are allowed is drawn at each step.

    The mask of the last observation is all zeros, as games have it. `dead_at` makes it so at an earlier step.
    """

    def __init__(self, config: dict[str, Any] | None = None):
        config = config or {}
        self._sizes = list(config.get("sizes", [5]))
        self._dead_at = config.get("dead_at")
        self._rng = np.random.default_rng(0)
        n = sum(self._sizes)
        mask = gym.spaces.MultiBinary(n) if config.get("binary", True) else gym.spaces.Box(0, 1, (n,), np.float32)
        self.observation_space = gym.spaces.Dict({"action_mask": mask, "clock": gym.spaces.Box(0, 1, (2,), np.float32)})
        self.action_space: gym.Space = gym.spaces.MultiDiscrete(self._sizes)
        if len(self._sizes) == 1:
            self.action_space = gym.spaces.Discrete(self._sizes[0])

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._t = 0
        return self._observation(), {}

    def step(self, action: Any) -> Any:
        chosen = np.atleast_1d(action)
        allowed = np.split(self._mask, np.cumsum(self._sizes)[:-1])
        for part, value in zip(allowed, chosen, strict=True):
            if not part[value]:
                raise ValueError(f"illegal action {action} at step {self._t}: {self._mask}")
        reward = float(np.mean([part.argmax() == value for part, value in zip(allowed, chosen, strict=True)]))
        self._t += 1
        return self._observation(), reward, self._t == LENGTH, False, {}

    def _observation(self) -> dict[str, np.ndarray]:
        parts = []
        for size in self._sizes:
            part = self._rng.random(size) < 0.4
            part[self._rng.integers(size)] = True
            parts.append(part)
        self._mask = np.concatenate(parts)
        if self._t in (LENGTH, self._dead_at):
            self._mask[:] = False
        clock = np.array([self._t / LENGTH, self._rng.random()], np.float32)
        return {"action_mask": self._mask.astype(self.observation_space["action_mask"].dtype), "clock": clock}


IllegalForTwo = make_multi_agent(lambda config: Illegal(config))
