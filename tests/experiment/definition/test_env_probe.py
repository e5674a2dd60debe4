"""An environment is tried out before anything starts, and whatever it does wrong is one line."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import numpy as np
import pytest
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.env_probe import probe
from rllib_recattn.experiment.definition.environment import agents_of, check_env_config

TWO = gymnasium.spaces.Discrete(2)


class Fine(gymnasium.Env):
    """Counts what is done with all of its kind."""

    observation_space = gymnasium.spaces.Dict(
        {"seen": gymnasium.spaces.Box(-1, 1, (2,)), "said": gymnasium.spaces.Discrete(3)}
    )
    action_space = gymnasium.spaces.Discrete(2)
    done: tuple[str, ...] = ()

    def __init__(self) -> None:
        Fine.done += ("made",)

    def _obs(self) -> Any:
        return {"seen": np.zeros(2), "said": 1}  # of float64, which RLlib takes

    def reset(self, *, seed=None, options=None):
        Fine.done += ("reset",)
        random.random(), np.random.rand()
        return self._obs(), {}

    def step(self, action):
        Fine.done += ("step",)
        return self._obs(), 0.0, False, False, {}

    def close(self):
        Fine.done += ("closed",)


class Recursing(Fine):
    def reset(self, **arguments):
        return self.reset(**arguments)


class OldReset(Fine):
    def reset(self):
        return self._obs(), {}


class BareReset(Fine):
    def reset(self, **arguments):
        return self._obs()


class OldStep(Fine):
    def step(self, action):
        return self._obs(), 0.0, False, {}


class Raising(Fine):
    def step(self, action):
        return {}["absent"]


class WrongShape(Fine):
    def _obs(self):
        return {"seen": np.zeros(3), "said": 1}


class Exiting(Fine):
    def step(self, action):
        raise SystemExit(3)


class Pair(MultiAgentEnv):
    possible_agents = agents = ["left", "right"]  # noqa: RUF012
    observation_spaces = action_spaces = dict.fromkeys(agents, gymnasium.spaces.Discrete(2))

    def __init__(self, config=None):
        if config:
            raise ValueError(f"no game {config['game']!r}")

    def reset(self, *, seed=None, options=None):
        return {"left": 0, "right": 1}, {}

    def step(self, actions):
        assert actions.keys() == {"left", "right"}
        return {"left": 0}, {"left": 1.0, "right": 0.0}, {"__all__": False}, {"__all__": False}, {}


class PairOfLists(Pair):
    def reset(self, *, seed=None, options=None):
        return [0, 1], {}


class OldPair(Pair):
    """Its agents are known by an old attribute alone, set after RLlib has looked for it."""

    possible_agents = agents = []  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self._agent_ids = {"left", "right"}


class PairAndGuest(Pair):
    """One of its agents has no spaces."""

    possible_agents = agents = ["left", "right", "guest"]  # noqa: RUF012


class PairOfProperties(Pair):
    @property
    def observation_space(self):
        raise RuntimeError("each has its own")


class SpacesAtReset(Fine):
    observation_space = None

    def reset(self, **arguments):
        self.observation_space = Fine.observation_space
        return super().reset(**arguments)


class OtherSpacesAtReset(Fine):
    def reset(self, **arguments):
        self.observation_space = gymnasium.spaces.Discrete(9)
        return 8, {}

    def _obs(self):
        return 8


class SpacesOfAgentsAtReset(Pair):
    observation_spaces = action_spaces = None

    def reset(self, **arguments):
        self.observation_spaces = self.action_spaces = Pair.observation_spaces
        return super().reset(**arguments)


def make_pair(config):
    return Pair(config)


def test_it_is_made_reset_stepped_and_closed_once_and_draws_from_nobodys_generators() -> None:
    Fine.done = ()
    before = random.getstate(), np.random.get_state()[1].tolist()
    for _ in range(3):
        check_env_config(f"{__name__}:Fine", {}, "here")
    assert Fine.done == ("made", "reset", "step", "closed")
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        (Recursing, "reset(seed=0) fails: RecursionError: maximum recursion depth exceeded"),
        (OldReset, "reset(seed=0) fails: TypeError: OldReset.reset() got an unexpected keyword argument 'seed'"),
        (BareReset, "reset should return observation, info, as Gymnasium asks for, not a dict"),
        (OldStep, "step should return observation, reward, terminated, truncated, info, as Gymnasium asks for, not a"),
        (Raising, "step fails: KeyError: 'absent' ("),
        (WrongShape, "is not of the observation_space Dict("),
        (Exiting, "step fails: SystemExit: 3"),
        (PairOfLists, "step fails: reset should return a mapping from agents to observations, not [0, 1]"),
        (SpacesAtReset, "has its spaces only after a reset; RLlib reads them before"),
        (PairOfProperties, "its spaces cannot be read: RuntimeError: each has its own ("),
        (int, "cannot be built with these settings: what is made should be a gymnasium.Env, and is of type int"),
    ],
)
def test_what_fails_is_one_line(env: Any, problem: str) -> None:
    with pytest.raises(SettingsError) as error:
        probe(env, "it")
    assert str(error.value).startswith("it")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_line_of_the_users_own_is_named() -> None:
    with pytest.raises(SettingsError, match=rf"\({__file__}, line \d+\)"):
        probe(Raising, "it")


@pytest.mark.parametrize("name", ["Pair", "make_pair"])
def test_several_agents_are_known(name: str) -> None:
    assert agents_of(f"{__name__}:{name}", {}, "here") == ("left", "right")
    with pytest.raises(SettingsError, match="cannot be built with these settings: no game 'chess'"):
        agents_of(f"{__name__}:{name}", {"game": "chess"}, "here")


@pytest.mark.parametrize(
    ("env", "agents", "spaces"),
    [
        (Pair, ("left", "right"), {"left": (TWO, TWO), "right": (TWO, TWO)}),
        (OldPair, (), {"left": (TWO, TWO), "right": (TWO, TWO)}),
        (PairAndGuest, ("left", "right", "guest"), {"left": (TWO, TWO), "right": (TWO, TWO), "guest": None}),
        (SpacesOfAgentsAtReset, ("left", "right"), {"left": (None, None), "right": (None, None)}),
    ],
)
def test_the_spaces_of_agents_are_those_that_rllib_will_find(env: Any, agents: Any, spaces: Any) -> None:
    found = probe(env, "it")
    assert found.agents == agents
    assert found.spaces == spaces


def test_spaces_are_those_from_before_a_reset() -> None:
    assert probe(OtherSpacesAtReset, "it").observation_space == Fine.observation_space
