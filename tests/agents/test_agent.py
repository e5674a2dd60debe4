"""How an agent is used: rows, states, random numbers, and what is said of wrong input."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple

from rllib_recattn.agents.actions import Actions
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.network import ActingNetwork
from rllib_recattn.errors import SettingsError
from tests.agents.small import agent_of, description_of, weights_of

SPACE = Dict({"image": Box(0, 255, (5, 4, 3), np.uint8), "more": Tuple((Discrete(3, start=1), Box(-1, 1, (2,))))})
PREVIOUS = {"use_prev_action": True, "use_prev_reward": True}


def observations(space, count, seed=0):
    space.seed(seed)
    return [space.sample() for _ in range(count)]


def batched(parts):
    first = parts[0]
    if isinstance(first, dict):
        return {key: batched([part[key] for part in parts]) for key in first}
    if isinstance(first, tuple):
        return tuple(batched(list(each)) for each in zip(*parts, strict=True))
    return np.stack(parts)


def test_rows_are_agents_of_their_own():
    one, many = agent_of(SPACE, Discrete(3), inputs=PREVIOUS), agent_of(SPACE, Discrete(3), inputs=PREVIOUS)
    many.reset(n_rows=3)
    assert many.n_rows == 3
    logits = []
    rewards = np.array([0.5, -1.0, 2.0])
    steps = [observations(SPACE, 3, seed) for seed in range(6)]
    for t, row in enumerate(steps):
        if t == 3:
            many.reset([1])
        if t == 4:
            many.reset(np.array([False, False, True]))
        actions = many.act(batched(row), reward=rewards * t)
        assert actions.shape == (3,)
        logits.append(many.logits)
    begins = [{0}, {0, 3}, {0, 4}]
    for index in range(3):
        for t, row in enumerate(steps):
            if t in begins[index]:
                one.reset()
            one.act(row[index], reward=None if t in begins[index] else rewards[index] * t)
            np.testing.assert_allclose(one.logits, logits[t][index], rtol=0, atol=1e-6)


def test_the_state_may_be_the_callers():
    agent, other = agent_of(inputs=PREVIOUS), agent_of(inputs=PREVIOUS)
    steps = observations(agent.observation_space, 5)
    first = agent.initial_state(1)
    state = first
    for t, each in enumerate(steps):
        actions, state = agent.step(each[None], state, reward=[float(t)])
        assert actions.shape == (1,)
        assert other.act(each, reward=float(t)) == actions[0]
    again = agent.full_step(steps[0][None], first)  # a state is not changed by a step
    np.testing.assert_array_equal(again.logits, agent.full_step(steps[0][None], agent.initial_state(1)).logits)
    assert agent.full_step(steps[0][None], agent.forget(state, [0])).logits.equal(again.logits)


def test_drawn_actions_follow_the_seed():
    agent = agent_of(seed=5)
    steps = observations(agent.observation_space, 40)

    def play():
        agent.reset()
        return [int(agent.act(each, explore=True)) for each in steps]

    first, second = play(), play()
    agent.seed(5)
    assert play() == first != second
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    play()
    assert torch.rand(1) == expected  # they are the agent's own


def test_actions_are_drawn_as_often_as_the_logits_say():
    space = Dict({"b": MultiDiscrete([2, 3]), "a": Box(-1, 1, (2,))})
    logits = torch.tensor([[0.5, -1.0, np.log(0.1), np.log(2.0), 0.0, np.log(3.0), 0.0, np.log(0.5), np.log(4.0)]])
    actions = Actions(space, normalize=True, clip=False)
    assert actions.n_logits == 9
    drawn = actions.choose(logits.float().repeat(20000, 1), True, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(drawn["a"].mean(0), [0.5, -1], atol=0.05)
    np.testing.assert_allclose(drawn["a"].std(0), [0.1, 2], rtol=0.03)
    shares = [Counter(column.tolist()) for column in drawn["b"].T]
    np.testing.assert_allclose([shares[0][k] / 20000 for k in range(2)], [1 / 4, 3 / 4], atol=0.02)
    np.testing.assert_allclose([shares[1][k] / 20000 for k in range(3)], np.array([1, 0.5, 4]) / 5.5, atol=0.02)
    assert space.contains(actions.for_env(actions.choose(logits.float(), False, None), one=True))


def test_values_and_logits_are_there_when_asked_for():
    agent = agent_of(values=True, vf_share_layers=False)
    with pytest.raises(SettingsError, match=r"agent\.logits: there are none before act"):
        agent.logits  # noqa: B018
    agent.act(np.zeros(3))
    assert agent.logits.shape == (3,)
    assert agent.values.shape == ()
    agent.reset(n_rows=2)
    agent.act(np.zeros((2, 3)))
    assert agent.values.shape == (2,)
    without = agent_of()
    without.act(np.zeros(3))
    with pytest.raises(SettingsError, match=r"load_agent\(…, values=True\)"):
        without.values  # noqa: B018


def test_the_reward_is_asked_for():
    agent = agent_of(inputs=PREVIOUS)
    agent.act(np.zeros(3))
    with pytest.raises(SettingsError, match=r"reward is missing: .*act\(observation, reward=…\).*reset\(\)"):
        agent.act(np.zeros(3))
    with pytest.raises(SettingsError, match=r"reward = \[1, 2\]: should be a number"):
        agent.act(np.zeros(3), reward=[1, 2])
    agent.act(np.zeros(3), reward=1)
    agent.reset()
    agent.act(np.zeros(3))


GOOD = {"image": np.zeros((5, 4, 3), np.uint8), "more": (2, np.zeros(2))}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"more": GOOD["more"]}, r"observation at 'image': is missing; there are: 'more' \(observation space Dict"),
        ({**GOOD, "image": np.zeros((5, 3))}, r"at 'image': has shape \(5, 3\); should be \(5, 4, 3\)"),
        ({**GOOD, "image": np.zeros((5, 4, 3))}, "at 'image': has dtype float64; should be uint8"),
        ({**GOOD, "image": np.full((5, 4, 3), 256)}, "at 'image': has numbers outside of uint8"),
        ({**GOOD, "more": 3}, "at 'more': is a int; should be a tuple"),
        ({**GOOD, "more": (2,)}, r"at 'more\.1': is missing; there are: 0"),
        ({**GOOD, "more": (0, np.zeros(2))}, r"at 'more\.0': is 0, which is not in Discrete\(3, start=1\)"),
        ({**GOOD, "more": (2, ["a", "b"])}, r"at 'more\.1': is list; should be numbers of shape \(2,\)"),
        ({**GOOD, "more": (2, [[1], [1, 2]])}, r"at 'more\.1': is list; should be numbers of shape \(2,\)"),
        (np.zeros(3), "observation: is a ndarray; should be a mapping"),
    ],
)
def test_a_wrong_observation_names_the_space_the_key_and_the_shape(wrong, message):
    agent = agent_of(SPACE)
    agent.act(GOOD)
    with pytest.raises(SettingsError, match=message):
        agent.act(wrong)


def test_rows_are_told():
    agent = agent_of()
    with pytest.raises(SettingsError, match=r"for 4 rows at once call agent\.reset\(n_rows=4\) first"):
        agent.act(np.zeros((4, 3)))
    agent.reset(n_rows=4)
    with pytest.raises(SettingsError, match=r"acts for 4 rows, call agent\.reset\(n_rows=None\)"):
        agent.act(np.zeros(3))
    for wrong in ([4], [-1], [0.5], [True, False], 2, "ab"):
        with pytest.raises(SettingsError, match="should be numbers from 0 to 3, or 4 booleans"):
            agent.reset(wrong)
    for wrong in (0, 1.5, True):
        with pytest.raises(SettingsError, match=re.escape(f"n_rows = {wrong!r}: should be a whole number ≥ 1")):
            agent.reset(n_rows=wrong)
    agent.reset([])
    agent.reset(n_rows=None)
    assert agent.act(np.zeros(3)).shape == ()


def test_wrong_devices_seeds_and_weights():
    with pytest.raises(SettingsError, match="device = 'gpu': should be one that PyTorch has here"):
        agent_of(device="gpu")
    with pytest.raises(SettingsError, match=r"seed = -1: should be a whole number ≥ 0"):
        agent_of(seed=-1)
    description = description_of()
    weights = weights_of(description)
    name = "policy.layers.0.weight"
    for changed, message in (
        ({**weights, "more": torch.zeros(1)}, "'more' is none of this agent's"),
        ({key: value for key, value in weights.items() if key != name}, f"'{name}' is missing"),
        ({**weights, name: weights[name][:1]}, r"has shape \[1, 8\].*should have \[3, 8\]"),
        ({**weights, name: weights[name].double()}, "dtype torch.float64; should have"),
    ):
        with pytest.raises(SettingsError, match=message):
            Agent(description, changed)


def test_its_networks_do_not_change_random_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    weights = weights_of(description_of())
    torch.manual_seed(3)
    Agent(description_of(), weights)
    assert torch.rand(1) == expected
    assert isinstance(agent_of().network, ActingNetwork)
