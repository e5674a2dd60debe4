"""Vector environments of the user's, which hand out what Gymnasium's own never do: both ways make the same of it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from tests.rl_module.lean_sampling.both_ways import BOX, assert_same, config_of, run

CALLS = (
    {"num_timesteps": 14},
    {"num_timesteps": 3},
    {"num_timesteps": 80},  # more than there is room for at first
    {"num_timesteps": 9, "explore": False, "force_reset": True},
    {"num_episodes": 4},
    {"num_timesteps": 20},
)


class Several(gym.vector.VectorEnv):
    """Episodes of 1 to 6 steps, which begin again in the step after their last."""

    def __init__(self, config):
        self.num_envs = config["num_envs"]
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}
        self.single_observation_space, self.single_action_space = BOX, gym.spaces.Discrete(3)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, self.num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, self.num_envs)
        self.n_steps = 0

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(0)
        self.left = np.arange(self.num_envs)
        return self.observations(), {}

    def step(self, actions):
        self.n_steps += 1
        begins = self.left < 0
        self.left = np.where(begins, self.rng.integers(0, 6, self.num_envs), self.left - 1)
        ends = (self.left < 0) & ~begins
        terminated = ends & (actions > 0)
        return self.observations(), self.rewards(), terminated, ends & ~terminated, {}

    def observations(self):
        return self.rng.uniform(-1, 1, (self.num_envs, 3)).astype(np.float32)

    def rewards(self):
        return self.rng.normal(size=self.num_envs)


class WholeRewardsAtFirst(Several):
    def rewards(self):
        rewards = self.rng.normal(size=self.num_envs)
        return rewards.round().astype(int) if self.n_steps % 16 < 5 else rewards


class RewardsInLists(Several):
    def rewards(self):
        return [0 if self.n_steps % 3 else 0.5] * self.num_envs


class RewardsOfTwoSizes(Several):
    def rewards(self):
        return self.rng.normal(size=self.num_envs).astype([np.float32, np.float64][self.n_steps % 2])


class ObservationsOfSeveralTypes(Several):
    def observations(self):
        kinds = [np.float32, np.float64, np.int64]
        return super().observations().astype(kinds[self.n_steps % 3])


class NotDense(Several):
    def observations(self):
        return np.asfortranarray(super().observations())


class NotWriteable(Several):
    def observations(self):
        observations = super().observations()
        observations.flags.writeable = False
        return observations


PREVIOUS = {"use_prev_action": True, "use_prev_reward": True}
CASES = [WholeRewardsAtFirst, RewardsInLists, RewardsOfTwoSizes, ObservationsOfSeveralTypes, NotDense, NotWriteable]


@pytest.mark.parametrize("env", CASES, ids=lambda env: env.__name__)
def test_both_ways_give_the_same(env):
    how = {"env": env, "mode": "vector_entry_point", **PREVIOUS}
    found, expected = (run(config_of("gru", **how, lean_sampling=lean), CALLS) for lean in (True, False))
    assert_same(found, expected)
