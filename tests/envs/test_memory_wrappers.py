"""Wrappers that make an environment ask for memory."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from ray.rllib.algorithms.ppo import PPOConfig

import rllib_recattn as ra
from rllib_recattn.envs.memory_wrappers import OBSERVATION, TRIAL_STARTS, DelayRewards, Flicker, Noise, Trials
from rllib_recattn.errors import SettingsError

MAZE = ("rllib_recattn/TMaze-v0", {"corridor_length": 4})
FORWARD = 3


class Doors(gymnasium.Env):
    """One of four doors, drawn by each reset, has the reward; an episode is one step."""

    observation_space = spaces.Dict({"a": spaces.Box(-1, 1, (2,), np.float32), "b": spaces.Tuple([spaces.Box(0, 9)])})
    action_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.door = int(self.np_random.integers(4))
        return self._seen(), {}

    def step(self, action):
        right = int(action) == self.door
        return self._seen(), float(right), True, False, {"success": right}

    def _seen(self):
        return {"a": np.ones(2, np.float32), "b": (np.full(1, 7, np.float32),)}


def episode(env, seed, actions):
    observations, rewards = [env.reset(seed=seed)[0]], []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            break
    return observations, rewards, terminated, truncated, info


def flat(observation):
    return np.concatenate([observation["a"], observation["b"][0]])


@pytest.mark.parametrize(
    "wrapper", [lambda env: Flicker(env, 0.5), lambda env: Noise(env, 0.3), lambda env: DelayRewards(env, 3)]
)
def test_seeds_are_exact_and_the_environment_inside_is_as_it_would_be(wrapper):
    actions = [FORWARD] * 4 + [0]
    plain = episode(gymnasium.make(MAZE[0], **MAZE[1]), 7, actions)
    first, again = (episode(wrapper(gymnasium.make(MAZE[0], **MAZE[1])), 7, actions) for _ in range(2))
    for one, other in zip(first[0], again[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert first[1:] == again[1:]
    assert len(first[0]) == len(plain[0])
    assert first[2:] == plain[2:]
    assert sum(first[1]) == pytest.approx(sum(plain[1]))


def test_half_of_the_observations_are_blank_as_a_whole():
    env = Flicker(Doors(), 0.5)
    seen = [flat(env.reset(seed=0)[0])] + [flat(env.reset()[0]) for _ in range(399)]
    blank = [not each.any() for each in seen]
    assert all(each.all() for each, is_blank in zip(seen, blank, strict=True) if not is_blank)
    assert 160 < sum(blank) < 240


@pytest.mark.parametrize("wrapper", [(Flicker, 0.5), (Noise, 0.1), (DelayRewards, 2), (Trials, 2)])
def test_gymnasium_finds_nothing_to_say(wrapper):
    kind, argument = wrapper
    env = kind(gymnasium.make(MAZE[0], **MAZE[1]), argument)
    check_env(env, skip_render_check=True)
    assert type(gymnasium.make(env.spec)) is kind


def test_noise_has_its_deviation_and_a_space_without_bounds():
    env = Noise(Doors(), 0.25)
    seen = np.array([flat(env.reset(seed=0)[0])] + [flat(env.reset()[0]) for _ in range(999)])
    np.testing.assert_allclose(seen.mean(0), [1, 1, 7], atol=0.03)
    np.testing.assert_allclose(seen.std(0), 0.25, atol=0.03)
    assert env.observation_space["a"] == spaces.Box(-np.inf, np.inf, (2,), np.float32)
    assert env.reset(seed=3)[0] in env.observation_space


@pytest.mark.parametrize(
    ("steps", "rewards"), [(1, [1, 2, 3, 4, 5]), (2, [0, 3, 0, 7, 5]), (None, [0, 0, 0, 0, 15]), (9, [0, 0, 0, 0, 15])]
)
def test_rewards_come_late_and_none_is_lost(steps, rewards):
    class Rising(Doors):
        def step(self, action):
            self.t = getattr(self, "t", 0) + 1
            return self._seen(), float(self.t), False, self.t == 5, {}

    env = DelayRewards(Rising(), steps)
    env.reset()
    for _ in range(2):
        assert [env.step(0)[1] for _ in range(5)] == rewards
        env.unwrapped.t = 0
        env.reset()


def test_trials_are_of_one_task_and_the_last_one_ends_the_episode():
    env = Trials(Doors(), 3)
    doors = set()
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        door = env.unwrapped.door
        doors.add(door)
        told = [observation[TRIAL_STARTS][0]]
        ends = []
        for trial, action in enumerate((door, (door + 1) % 4, door)):
            observation, reward, terminated, truncated, info = env.step(action)
            assert observation in env.observation_space
            assert reward == (action == door)
            assert env.unwrapped.door == door
            told.append(observation[TRIAL_STARTS][0])
            ends.append(terminated or truncated)
            assert ("success" in info) == (trial == 2)
        assert told == [1, 1, 1, 0]
        assert ends == [False, False, True]
        assert info["success"]
    assert doors == {0, 1, 2, 3}
    assert set(env.reset()[0]) == {OBSERVATION, TRIAL_STARTS}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"flicker": 1.5}, "flicker = 1.5: should be from 0 to 1"),
        ({"noise": -1}, "noise = -1.0: should be 0 or more"),
        ({"noise": float("inf")}, "noise = inf"),
        ({"delay_rewards": 0}, "delay_rewards = 0: should be 1 or more steps, or episode"),
        ({"delay_rewards": "never"}, "delay_rewards.* = 'never'"),
        ({"trials": 0}, "trials = 0: should be 1 or more"),
        ({"env": "FrozenLake-v1", "flicker": 0.5}, r"has Discrete\(16\), but should be made of Boxes"),
        ({"env": "rllib_recattn/MiniGrid-MemoryS7-RGB-v0", "noise": 0.1}, "should be of floats"),
    ],
)
def test_what_is_wrong_is_named(settings, problem):
    with pytest.raises(SettingsError, match=problem):
        gymnasium.make("rllib_recattn/Wrapped-v0", **{"env": "CartPole-v1", **settings})


def test_an_observation_that_is_never_zero_does_not_flicker():
    env = Doors()
    env.observation_space = spaces.Box(1, 2, (3,))
    with pytest.raises(SettingsError, match=r"flicker = 0\.5: 0 should lie within the observation space"):
        Flicker(env, 0.5)


def test_an_agent_trains_on_all_of_them_at_once(ray_session):
    wrapped = {"env": "CartPole-v1", "flicker": 0.5, "noise": 0.1, "delay_rewards": 10, "trials": 2}
    config = PPOConfig().environment("rllib_recattn/Wrapped-v0", env_config=wrapped).env_runners(num_env_runners=0)
    config.training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
    config = ra.use_model(config, "gru", max_seq_len=8, d_model=8, use_prev_action=True, use_prev_reward=True)
    algo = config.build_algo()
    try:
        assert algo.train()["num_env_steps_sampled_lifetime"] >= 64
    finally:
        algo.stop()
