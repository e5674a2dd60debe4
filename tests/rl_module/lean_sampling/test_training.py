"""Algorithms train on what is sampled in one batch, in their own process and in others."""

from __future__ import annotations

import pytest
import torch
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig

from tests.rl_module.lean_sampling.both_ways import assert_same, config_of


def batches(algorithm):
    """Small ones, of several fragments."""
    config = algorithm.training(train_batch_size_per_learner=60)
    if isinstance(config, PPOConfig):
        return config.training(minibatch_size=20, num_epochs=2)
    return config.reporting(min_time_s_per_iteration=0)


def test_weights_after_an_update_are_those_after_rllibs_way(ray_session):
    weights, ways = [], []
    for lean in (True, False):
        torch.manual_seed(0)
        config = config_of("agalite", before=batches, lean_sampling=lean, use_prev_action=True)
        algorithm = config.build_algo()
        for _ in range(2):
            result = algorithm.train()
        weights.append(algorithm.get_weights())
        ways.append(result["env_runners"]["lean_sampling"])
        algorithm.stop()
    assert ways == [1, 0]
    assert_same(*weights)


@pytest.mark.parametrize(
    "algorithm", [PPOConfig, *(pytest.param(each, marks=pytest.mark.slow) for each in (APPOConfig, IMPALAConfig))]
)
def test_env_runners_in_processes_of_their_own(algorithm, ray_session):
    config = config_of("gru", algorithm=algorithm, before=batches, use_prev_reward=True)
    config.env_runners(num_env_runners=1, rollout_fragment_length=10)
    algorithm = config.build_algo()
    try:
        reported = {}
        while "lean_sampling" not in reported:
            reported = algorithm.train()["env_runners"]  # some iterations have no news of it
        assert reported["lean_sampling"] == 1
        assert reported["num_env_steps_sampled_lifetime"] > 0
    finally:
        algorithm.stop()
