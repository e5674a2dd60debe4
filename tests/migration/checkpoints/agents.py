"""Agents on both API stacks that play the same episodes, and what each stack's own machinery makes of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.policy.policy import Policy
from ray.rllib.policy.sample_batch import SampleBatch

from tests.model_v2.old_stack import old_stack_config, sample

LENGTH = 11


class RecordedEnv(gym.Env[Any, Any]):
    """Every episode shows the same random observations and gives the same random rewards, whatever is done in it."""

    def __init__(self, config: dict[str, Any]):
        self.observation_space = copy.deepcopy(config["observation_space"])
        self.action_space = config["action_space"]
        self.observation_space.seed(1)
        self.observations = [self.observation_space.sample() for _ in range(LENGTH + 1)]
        self.rewards = np.random.default_rng(2).normal(size=LENGTH)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.steps = 0
        return self.observations[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self.observations[self.steps], self.rewards[self.steps - 1], self.steps == LENGTH, False, {}


class Played(NamedTuple):
    """What an agent made of one whole episode."""

    logits: np.ndarray
    values: np.ndarray


def greedy_config(model: str = "agalite", algorithm: str = "PPO", **settings: Any) -> Any:
    """A config of the old stack whose agents take the most likely action, in fragments that cut episodes."""
    config = old_stack_config(model, algorithm, length=LENGTH, **settings)
    return config.environment(RecordedEnv).env_runners(explore=False)


def trained(config: Any, directory: Path) -> Path:
    """A checkpoint of a config's algorithm, whose weights are none that anything begins with."""
    algorithm = config.build_algo()
    try:
        torch.manual_seed(3)
        for policy_id in algorithm.env_runner.policy_map:
            model = algorithm.get_policy(policy_id).model
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.2 * torch.randn_like(parameter))
        algorithm.save(str(directory))
    finally:
        algorithm.stop()
    return directory


def weights_of(checkpoint: Path) -> dict[str, dict[str, np.ndarray]]:
    """The weights of each policy of an old-stack checkpoint."""
    return {name: policy.get_weights() for name, policy in Policy.from_checkpoint(str(checkpoint)).items()}


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def played_on_old_stack(checkpoint: Path) -> list[Played]:
    """What RolloutWorkers sample, with the states that view requirements carry: the first fragments' episodes."""
    algorithm = Algorithm.from_checkpoint(str(checkpoint))
    try:
        fragments = [sample(algorithm.env_runner) for _ in range(3)]
    finally:
        algorithm.stop()
    columns = (SampleBatch.EPS_ID, SampleBatch.ACTION_DIST_INPUTS, SampleBatch.VF_PREDS)
    episode_ids, logits, values = (np.concatenate([fragment[name] for fragment in fragments]) for name in columns)
    indices = [np.flatnonzero(episode_ids == episode) for episode in np.unique(episode_ids)]
    return [Played(logits[steps], values[steps]) for steps in indices if len(steps) == LENGTH]


def played_on_new_stack(checkpoint: Path) -> list[Played]:
    """What EnvRunners sample, and the values of what the learner's connectors make of it."""
    algorithm = Algorithm.from_checkpoint(str(checkpoint))
    try:
        learner = algorithm.learner_group._learner
        episodes: dict[str, list[Any]] = {}
        for _ in range(3):
            for chunk in algorithm.env_runner.sample(num_timesteps=20, explore=False):
                episodes.setdefault(chunk.id_, []).append(chunk)
        whole = [chunks for chunks in episodes.values() if sum(map(len, chunks)) == LENGTH]
        assert any(len(chunks) > 1 for chunks in whole), "no episode was cut by the end of a fragment"
        return [
            Played(
                np.concatenate([chunk.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS) for chunk in chunks]),
                np.concatenate([_values(learner, chunk) for chunk in chunks]),
            )
            for chunks in whole
        ]
    finally:
        algorithm.stop()


def _values(learner: Any, chunk: Any) -> np.ndarray:
    pipeline = learner._learner_connector
    batch = pipeline(rl_module=learner.module, batch={}, episodes=[copy.deepcopy(chunk).to_numpy()], shared_data={})[
        DEFAULT_MODULE_ID
    ]
    with torch.no_grad():
        values = learner.module[DEFAULT_MODULE_ID].compute_values(batch)
    return values[batch[Columns.LOSS_MASK]].numpy()[: len(chunk)]
