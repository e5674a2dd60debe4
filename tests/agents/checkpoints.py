"""Checkpoints of small agents, and episodes that RLlib and an agent of ours play alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tree
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns

import rllib_recattn as ra
from rllib_recattn.agents.agent import Agent
from rllib_recattn.experiment.checkpoints.checkpoint import load_config
from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from tests.model_v2.old_stack import TINY
from tests.rl_module.inputs.random_env import ACTIONS, OBSERVATIONS, RandomEnv


class TellingEnv(RandomEnv):
    """Its rewards tell which actions came in, to the last number."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        numbers = np.concatenate([np.ravel(part) for part in tree.flatten(action)]).astype(np.float64)
        return (
            observation,
            reward + float(numbers @ np.sqrt(np.arange(2, 2 + len(numbers)))),
            terminated,
            truncated,
            info,
        )


def config_of(
    model: str = "agalite",
    observation: Any = OBSERVATIONS["vector"],
    action: Any = ACTIONS["Discrete"],
    model_config: dict[str, Any] | None = None,
    config: AlgorithmConfig | None = None,
    **settings: Any,
) -> AlgorithmConfig:
    config = (
        (config or PPOConfig())
        .environment(TellingEnv, env_config={"observation_space": observation, "action_space": action, "length": 9})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=1, rollout_fragment_length=8)
        .learners(num_learners=0)
        .rl_module(model_config={"head_fcnet_hiddens": [], **(model_config or {})})
        .debugging(seed=0, log_level="ERROR", log_sys_usage=False)
    )
    if type(config) is PPOConfig:
        config.training(train_batch_size_per_learner=16, minibatch_size=8, num_epochs=1)
    return ra.use_model(config, model, max_seq_len=5, **TINY[model], **settings)


def save(config: AlgorithmConfig, directory: Path, iterations: int = 0) -> Path:
    algorithm = config.build_algo()
    try:
        for _ in range(iterations):
            algorithm.train()
        if not algorithm.config.enable_rl_module_and_learner:
            return Path(algorithm.save(str(directory / "checkpoint")).checkpoint.path)
        return Path(algorithm.save_to_path(str(directory / "checkpoint")))
    finally:
        algorithm.stop()


def rllibs_steps(checkpoint: Path, seed: int = 3) -> Iterator[tuple[Any, float]]:
    """The logits and the reward of each step that RLlib's EnvRunner takes in an episode."""
    player = NewStackPlayer(checkpoint, load_config(checkpoint))
    try:
        episode = player.sample(seed, explore=False)
    finally:
        player.stop()
    for t in range(len(episode)):
        yield np.asarray(episode.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS, t)), episode.get_rewards(t)


def our_steps(agent: Agent, env: Any, seed: int = 3) -> Iterator[tuple[Any, float]]:
    """The same of the same episode, by an agent of ours that is driven as a user would drive it."""
    observation, _ = env.reset(seed=seed)
    agent.reset()
    reward, done = None, False
    while not done:
        action = agent.act(observation, reward=reward)
        logits = agent.logits
        observation, reward, terminated, truncated, _ = env.step(action)
        done = terminated or truncated
        yield logits, float(reward)


def env_of(checkpoint: Path) -> TellingEnv:
    return TellingEnv(load_config(checkpoint).env_config)


def assert_plays_alike(checkpoint: Path, agent: Agent) -> None:
    """The logits are the same up to rounding, and so is what the environment gets, as its rewards tell."""
    theirs, ours = list(rllibs_steps(checkpoint)), list(our_steps(agent, env_of(checkpoint)))
    assert len(theirs) == len(ours) > 3
    for (logits, reward), (our_logits, our_reward) in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(our_logits, logits, rtol=0, atol=1e-6)
        assert our_reward == pytest.approx(reward, abs=1e-5)
