"""Wrappers that make an environment ask for memory: observations that flicker or are noisy, late rewards, trials.

Each draws from a generator of its own, so that the environment inside does what it would do without the wrapper; the
same seed of ``reset`` gives the same episodes.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import tree
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs

from rllib_recattn.errors import SettingsError

OBSERVATION, TRIAL_STARTS = "observation", "trial_starts"

Step = tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]


class Flicker(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """Blanks whole observations now and then, all of their numbers to 0.

    Source: flickering Atari games, Hausknecht and Stone (arXiv 1507.06527, section 6), where the probability is ½.

    Args:
        env: An environment that observes Boxes, also several in a Dict or Tuple, that have a 0.
        probability: With which an observation is blank, from 0 to 1; each is for itself, the first one, too.

    Raises:
        SettingsError: If a space has no 0, or the probability is none.
    """

    def __init__(self, env: gymnasium.Env, probability: float):
        RecordConstructorArgs.__init__(self, probability=probability)
        super().__init__(env)
        _check_between(probability, "flicker", 1)
        for space in _boxes(env, f"flicker = {probability}"):
            if not ((space.low <= 0) & (space.high >= 0)).all():
                raise SettingsError(f"flicker = {probability}: 0 should lie within the observation space {space}")
        self._probability, self._random = probability, np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._random = _renewed(self._random, seed, 0)
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> Any:
        """Blank an observation, or do not."""
        is_blank = self._random.random() < self._probability
        return tree.map_structure(np.zeros_like, observation) if is_blank else observation


class Noise(gymnasium.ObservationWrapper, RecordConstructorArgs):
    """Adds Gaussian noise to each number that is observed, as POPGym's noisy control tasks do (arXiv 2303.01859).

    Args:
        env: An environment that observes Boxes of floats, also several in a Dict or Tuple; they lose their bounds.
        std: The noise's standard deviation.

    Raises:
        SettingsError: If numbers are whole, or the deviation is negative.
    """

    def __init__(self, env: gymnasium.Env, std: float):
        RecordConstructorArgs.__init__(self, std=std)
        super().__init__(env)
        _check_between(std, "noise", np.inf)
        for space in _boxes(env, f"noise = {std}"):
            if space.dtype is None or space.dtype.kind != "f":
                raise SettingsError(f"noise = {std}: the observation space {space} should be of floats")
        self.observation_space = _without_bounds(env.observation_space)
        self._std, self._random = std, np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        self._random = _renewed(self._random, seed, 1)
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Any) -> Any:
        """Add noise."""

        def noisy(leaf: np.ndarray) -> np.ndarray:
            return (leaf + self._std * self._random.standard_normal(leaf.shape)).astype(leaf.dtype)

        return tree.map_structure(noisy, observation)


class DelayRewards(gymnasium.Wrapper, RecordConstructorArgs):
    """Holds rewards back and hands out their sum, every so many steps and at the end of the episode.

    Args:
        env: Any environment.
        steps: How many; None: at the end of the episode alone.

    Raises:
        SettingsError: If that is less than one.
    """

    def __init__(self, env: gymnasium.Env, steps: int | None):
        RecordConstructorArgs.__init__(self, steps=steps)
        super().__init__(env)
        if steps is not None and steps < 1:
            raise SettingsError(f"delay_rewards = {steps}: should be 1 or more steps, or episode")
        self._steps = steps
        self._owed, self._age = 0.0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, to which nothing is owed."""
        self._owed, self._age = 0.0, 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Step:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._owed, self._age = self._owed + float(reward), self._age + 1
        is_due = terminated or truncated or (self._steps is not None and self._age % self._steps == 0)
        paid, self._owed = (self._owed, 0.0) if is_due else (0.0, self._owed)
        return observation, paid, terminated, truncated, info


class Trials(gymnasium.Wrapper, RecordConstructorArgs):
    """Makes one episode of several in the same task, in which an agent can use later what it found out before.

    As in RL² (Duan et al., arXiv 1611.02779): memory goes on from trial to trial. Each begins with the same seed, so
    that whatever the environment draws, be it a maze or where the reward is, is the same in all of them. The agent is
    told where a trial starts; what it did and got it sees with ``use_prev_action`` and ``use_prev_reward`` of the
    model. Of an episode's ``success`` the last trial decides.

    Args:
        env: Any environment that does the same after the same seed.
        n_trials: How many.

    Raises:
        SettingsError: If that is less than one.
    """

    def __init__(self, env: gymnasium.Env, n_trials: int):
        RecordConstructorArgs.__init__(self, n_trials=n_trials)
        super().__init__(env)
        if n_trials < 1:
            raise SettingsError(f"trials = {n_trials}: should be 1 or more")
        self.observation_space = spaces.Dict(
            {OBSERVATION: env.observation_space, TRIAL_STARTS: spaces.Box(0, 1, (1,), np.float32)}
        )
        self._n_trials, self._random = n_trials, np.random.default_rng()
        self._task, self._trial = 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the first trial of another task."""
        self._random = _renewed(self._random, seed, 2)
        self._task, self._trial = int(self._random.integers(2**31)), 1
        observation, info = self.env.reset(seed=self._task, options=options)
        return _told(observation, starts=True), info

    def step(self, action: Any) -> Step:
        """Take a step; where it ends a trial that is not the last, what is observed is the start of the next one."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not (terminated or truncated) or self._trial == self._n_trials:
            return _told(observation, starts=False), reward, terminated, truncated, info
        self._trial += 1
        observation, info = self.env.reset(seed=self._task)
        return _told(observation, starts=True), reward, False, False, info


def _told(observation: Any, starts: bool) -> dict[str, Any]:
    return {OBSERVATION: observation, TRIAL_STARTS: np.array([starts], np.float32)}


def _renewed(random: np.random.Generator, seed: int | None, which: int) -> np.random.Generator:
    """Return a generator that begins again where a seed is given, another one for each kind of wrapper."""
    return random if seed is None else np.random.default_rng([seed, which])


def _boxes(env: gymnasium.Env, where: str) -> list[spaces.Box]:
    """Return the Boxes of an environment's observations, and refuse other spaces."""
    leaves, waiting = [], [env.observation_space]
    while waiting:
        space = waiting.pop()
        if isinstance(space, spaces.Box):
            leaves.append(space)
        elif isinstance(space, spaces.Dict | spaces.Tuple):
            waiting += space.values() if isinstance(space, spaces.Dict) else space.spaces
        else:
            raise SettingsError(f"{where}: the observation space has {space}, but should be made of Boxes")
    return leaves


def _without_bounds(space: spaces.Space) -> spaces.Space:
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: _without_bounds(each) for key, each in space.items()})
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([_without_bounds(each) for each in space.spaces])
    assert isinstance(space, spaces.Box)
    return spaces.Box(-np.inf, np.inf, space.shape, space.dtype)  # type: ignore[arg-type]


def _check_between(value: float, name: str, most: float) -> None:
    if not 0 <= value <= most or value == np.inf:
        raise SettingsError(f"{name} = {value}: should be {'from 0 to 1' if most == 1 else '0 or more'}")
