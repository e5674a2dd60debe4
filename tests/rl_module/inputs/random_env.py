"""An environment of any spaces, whose observations are random and whose rewards tell steps apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra

OBSERVATIONS = {
    "vector": Box(-1, 1, (3,), np.float32),
    "image 7x7": Box(0, 255, (7, 7, 3), np.uint8),
    "image 60x80": Box(0, 255, (60, 80, 3), np.uint8),
    "float image": Box(0, 1, (10, 12, 2), np.float32),
    "Discrete": Discrete(4, start=-1),
    "MultiDiscrete": MultiDiscrete([2, 3], start=[1, 0]),
    "MultiBinary": MultiBinary(4),
    "Dict": Dict(
        {
            "image": Box(0, 255, (5, 4, 3), np.uint8),
            "vector": Box(-1, 1, (2,), np.float32),
            "more": Tuple((Discrete(3), Dict({"bits": MultiBinary((2, 2)), "choice": MultiDiscrete([2, 2])}))),
        }
    ),
    "Tuple": Tuple((Box(-1, 1, (2,), np.float32), Discrete(3), Dict({"a": MultiDiscrete([3, 2])}))),
}
# Others that the encoders take care of, and RLlib's connectors hand on as those above.
MORE_OBSERVATIONS = {
    "float64": Box(-np.inf, np.inf, (3,), np.float64),
    "float16": Box(-9, 9, (3,), np.float16),
    "int16": Box(-9, 9, (3,), np.int16),
    "int64": Box(-9, 9, (3,), np.int64),
    "bytes": Box(0, 255, (3,), np.uint8),
    "number": Box(0, 1, (), np.float32),
    "matrix": Box(-1, 1, (2, 3), np.float32),
    "grey image": Box(0, 255, (12, 9), np.uint8),
    "image 56x56": Box(0, 255, (56, 56, 3), np.uint8),
    "image 1x1": Box(0, 255, (1, 1, 1), np.uint8),
}
ACTIONS = {
    "Discrete": Discrete(3),
    "MultiDiscrete": MultiDiscrete([2, 3]),
    "Box": Box(-2, 2, (2,), np.float32),
    "Dict": Dict({"arm": Box(-1, 1, (3,), np.float32), "legs": Tuple((Discrete(2), MultiDiscrete([2, 4])))}),
    "Tuple": Tuple((Discrete(3), Box(-1, 1, (1,), np.float32), Dict({"x": Discrete(2)}))),
}
TINY = {"d_model": 8, "n_layers": 1, "n_heads": 1, "d_head": 4}


class RandomEnv(gym.Env[Any, Any]):
    """Episodes of `length` steps; the reward of step t is t + 1.

    Args:
        config: ``observation_space``, ``action_space`` and ``length``.
    """

    def __init__(self, config: dict[str, Any]):
        self.observation_space = config["observation_space"]
        self.action_space = config["action_space"]
        self.length = config.get("length", 7)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.steps += 1
        return self.observation_space.sample(), float(self.steps), self.steps >= self.length, False, {}


def random_env_config(
    observation_space: gym.Space,
    action_space: gym.Space,
    algorithm: type[AlgorithmConfig] = PPOConfig,
    length: int = 7,
    env_to_module: Callable[..., Any] | None = None,
    **model_settings: Any,
) -> AlgorithmConfig:
    """A config with a tiny model and short iterations; fragments cut episodes, and rows cut fragments."""
    config = (
        algorithm()
        .environment(
            RandomEnv,
            env_config={"observation_space": observation_space, "action_space": action_space, "length": length},
        )
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2, rollout_fragment_length=8)
        .learners(num_learners=0)
        .training(train_batch_size_per_learner=16)
        .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=16)
        .rl_module(model_config={"head_fcnet_hiddens": []})
        .debugging(seed=0, log_level="ERROR", log_sys_usage=False)
    )
    if env_to_module is not None:
        config.env_runners(env_to_module_connector=env_to_module)
    if isinstance(config, PPOConfig):
        config.training(minibatch_size=8, num_epochs=1)
    return ra.use_model(config, "agalite", max_seq_len=5, **TINY, **model_settings)
