"""Every kind of observation with every kind of action trains, and each of them with every algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID

from tests.cases import in_turns
from tests.rl_module.inputs.random_env import ACTIONS, MORE_OBSERVATIONS, OBSERVATIONS, random_env_config

ALGORITHMS = {"PPO": PPOConfig, "APPO": APPOConfig, "IMPALA": IMPALAConfig}
PARTS = ("encoder.encoder.tokenizer.", "encoder.encoder.model.", "pi.", "vf.")


@pytest.mark.parametrize(("observation", "action", "algorithm"), in_turns(OBSERVATIONS, ACTIONS, ALGORITHMS))
def test_two_iterations(ray_session, observation, action, algorithm):
    train_twice(
        random_env_config(
            OBSERVATIONS[observation],
            ACTIONS[action],
            ALGORITHMS[algorithm],
            use_prev_action=True,
            use_prev_reward=True,
        )
    )


@pytest.mark.parametrize("observation", MORE_OBSERVATIONS)
def test_two_iterations_with_more_observations(ray_session, observation):
    train_twice(random_env_config(MORE_OBSERVATIONS[observation], ACTIONS["Discrete"]))


def train_twice(config):
    algorithm = config.build_algo()
    try:
        before = weights(algorithm)
        updates = 0
        for _ in range(200):  # IMPALA and APPO learn in a thread of their own, and not in each iteration
            learned = algorithm.train().get("learners", {}).get(DEFAULT_MODULE_ID, {})
            updates += learned.get("num_module_steps_trained", 0) > 0
            if updates == 2:
                break
        assert updates == 2
        after = weights(algorithm)
        # A loss that is not a number would leave such weights.
        assert all(np.isfinite(value).all() for value in after.values())
        for part in PARTS:
            names = [name for name in after if name.startswith(part)]
            # Not each of them: ReLUs of so small a model may be off for all that it saw.
            assert not names or any(not np.array_equal(after[name], before[name]) for name in names), part
    finally:
        algorithm.stop()


def weights(algorithm):
    return algorithm.learner_group.get_weights()[DEFAULT_MODULE_ID]
