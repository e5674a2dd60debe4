"""Configs of small recurrent agents, for each algorithm, and what comes out of their pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

import rllib_recattn as ra
from rllib_recattn.inputs.input_settings import WITHOUT_MLP

ALGORITHMS = {"PPO": PPOConfig, "APPO": APPOConfig, "IMPALA": IMPALAConfig}


class Lengths(gym.Env):
    """Episodes of given lengths, one after the other, that end by termination and truncation in turns."""

    def __init__(self, config: dict[str, Any]):
        self.observation_space = gym.spaces.Box(-10, 10, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(2)
        self.lengths = config["lengths"]
        self.n_episodes = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.n_episodes += 1
        self.t = 0
        return self._observation(), {}

    def step(self, action):
        self.t += 1
        done = self.t >= self.lengths[self.n_episodes % len(self.lengths)]
        by_truncation = self.n_episodes % 2 == 1
        return self._observation(), float(action), done and not by_truncation, done and by_truncation, {}

    def _observation(self):
        return self.np_random.normal(size=3).astype(np.float32)


def recurrent_config(
    algorithm: str = "PPO",
    *,
    sparse: bool,
    max_seq_len: int = 4,
    lengths: tuple[int, ...] = (7,),
    vf_share_layers: bool = True,
    num_envs: int = 2,
    train_batch_size: int = 128,
    before: Callable[[AlgorithmConfig], Any] | None = None,
) -> AlgorithmConfig:
    """A small recurrent agent whose states are kept apart, or stored in RLlib's way.

    `before` changes the config before `use_model` does.
    """
    config = (
        ALGORITHMS[algorithm]()
        .environment(Lengths, env_config={"lengths": lengths})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=num_envs)
        .rl_module(model_config={"head_fcnet_hiddens": [4]})
        .debugging(seed=0, log_level="ERROR")
    )
    config.training(train_batch_size_per_learner=train_batch_size)
    if algorithm == "PPO":
        config.training(minibatch_size=64, num_epochs=2)
    else:
        config.reporting(min_time_s_per_iteration=0)
    if before is not None:
        before(config)
    return ra.use_model(
        config,
        "gru",
        max_seq_len=max_seq_len,
        vf_share_layers=vf_share_layers,
        encoder=WITHOUT_MLP,  # a replay hands the model what was observed
        sparse_states=sparse,
        d_model=8,
    )


def sample(config: AlgorithmConfig, fragments: int, runner_class=SingleAgentEnvRunner, **how: Any) -> list[list[Any]]:
    """The episodes of some calls of an EnvRunner's `sample`, and its spaces; the same each time."""
    torch.manual_seed(0)
    np.random.seed(0)
    runner = runner_class(config=config)
    try:
        return [runner.sample(**how) for _ in range(fragments)], runner.get_spaces()
    finally:
        runner.stop()


def train_batches(config: AlgorithmConfig, chunks: list[list[Any]], spaces: dict[str, Any]) -> list[dict[str, Any]]:
    """What a learner's connectors make of lists of episodes; its weights are the same each time."""
    torch.manual_seed(1)
    spaces = {key: value for key, value in spaces.items() if not key.startswith("__")}
    if isinstance(config, IMPALAConfig):  # whose learner starts threads, and adds nothing to the pipeline
        module = config.get_multi_rl_module_spec(spaces=spaces, inference_only=False).build()
        pipeline = config.build_learner_connector(None, None)
    else:
        learner = config.build_learner(spaces=spaces)
        module, pipeline = learner.module, learner._learner_connector
    return [pipeline(rl_module=module, batch={}, episodes=episodes, shared_data={}) for episodes in chunks]


def train_batch(config: AlgorithmConfig, episodes: list[Any], spaces: dict[str, Any]) -> dict[str, Any]:
    """What a learner's connectors make of episodes."""
    (batch,) = train_batches(config, [episodes], spaces)
    return batch


def leaves(batch: dict[str, Any]) -> dict[tuple[str, ...], np.ndarray]:
    """The arrays of a batch by their path."""
    return {path: np.asarray(leaf) for path, leaf in tree.flatten_with_path(batch)}


def assert_identical(batch: dict[str, Any], expected: dict[str, Any]) -> None:
    """Two batches have the same arrays, to the bit."""
    batch, expected = leaves(batch), leaves(expected)
    assert batch.keys() == expected.keys()
    for path, array in expected.items():
        assert batch[path].dtype == array.dtype, path
        np.testing.assert_array_equal(batch[path], array, err_msg=str(path))
