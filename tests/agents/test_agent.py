"""How an agent is used: rows, states, random numbers, and what is said of wrong input."""

from __future__ import annotations

import os
import re
from collections import Counter

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

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
    with pytest.raises(SettingsError, match=r"reward = \[1, 2\]: should be a finite number"):
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


@pytest.mark.parametrize(
    ("number", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e300, r"1e\+300")]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_would_never_be_forgotten_are_refused(number, shown, dtype):
    space = Dict({"position": Box(-np.inf, np.inf, (2,), dtype)})
    agent, other = (agent_of(space, inputs=PREVIOUS) for _ in range(2))
    for each in (agent, other):
        each.act({"position": np.zeros(2)})
    with pytest.raises(SettingsError, match=rf"observation at 'position': has {shown} at index \(1,\); .* finite"):
        agent.act({"position": np.array([0.0, number])}, reward=0.0)
    with pytest.raises(SettingsError, match=rf"reward = {shown}: should be a finite number"):
        agent.act({"position": np.zeros(2)}, reward=number)
    for each in (agent, other):
        each.act({"position": np.ones(2)}, reward=1.0)
    assert np.array_equal(agent.logits, other.logits)


def test_finite_numbers_of_which_it_makes_infinite_ones_are_refused():
    agent, other = (agent_of(Box(-np.inf, np.inf, (3,)), model="gru", settings={"d_model": 8}) for _ in range(2))
    for each in (agent, other):
        each.network.encoder.tokenizer.requires_grad_(False)
        each.act(np.ones(3))
    with torch.no_grad():
        agent.network.policy.layers[0].weight.mul_(1e38).mul_(10)
    with pytest.raises(SettingsError, match="computes NaN or infinity"):
        agent.act(np.zeros(3))
    assert all(torch.isfinite(memory).all() for memory in agent._state.memories)


def test_rewards_of_rows_that_begin_are_not_read():
    agent = agent_of(inputs=PREVIOUS)
    agent.reset(n_rows=2)
    agent.act(np.zeros((2, 3)))
    agent.reset([1])
    agent.act(np.zeros((2, 3)), reward=[1.0, np.nan])
    with pytest.raises(SettingsError, match="should be 2 finite numbers, one for each row"):
        agent.act(np.zeros((2, 3)), reward=[1.0, np.nan])


@pytest.mark.parametrize("reward", [10**400, "1", None, [[1.0]], {}])
def test_rewards_that_are_none(reward):
    agent = agent_of(inputs=PREVIOUS)
    agent.act(np.zeros(3))
    with pytest.raises(SettingsError, match=r"^reward"):
        agent.act(np.zeros(3), reward=reward)
    agent.act(np.zeros(3), reward=torch.tensor(1.0, requires_grad=True))


def test_what_is_not_in_the_space_is_refused():
    agent = agent_of(Dict({"bits": MultiBinary(2), "more": Tuple((Discrete(2),))}))
    agent.act({"bits": [0, 1], "more": (1,)})
    with pytest.raises(SettingsError, match=r"at 'bits': is \[0, 2\], which is not in MultiBinary"):
        agent.act({"bits": [0, 2], "more": (1,)})
    with pytest.raises(SettingsError, match="at 'other': is not in the space"):
        agent.act({"bits": [0, 1], "more": (1,), "other": 3})
    with pytest.raises(SettingsError, match=r"at 'more\.1': is not in the space"):
        agent.act({"bits": [0, 1], "more": (1, 0)})


def test_too_many_rows_leave_the_agent_as_it_was():
    agent, other = agent_of(), agent_of()
    for each in (agent, other):
        each.act(np.ones(3))
    for many in (10**12, 10**30):
        with pytest.raises(SettingsError, match=f"n_rows = {many}: there is not enough memory"):
            agent.reset(n_rows=many)
    for each in (agent, other):
        each.act(np.ones(3))
    assert agent.n_rows is None
    assert np.array_equal(agent.logits, other.logits)
    agent.reset(n_rows=np.int64(2))
    agent.seed(np.int64(3))
    with pytest.raises(SettingsError, match=r"for 5 rows call agent\.reset\(n_rows=5\)"):
        agent.act(np.zeros((5, 3)))


def test_more_rows_than_the_machine_has_memory_for_are_refused_before_they_are_made(monkeypatch):
    agent = agent_of(model="gru", settings={"d_model": 8})
    rows = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (2 * 33) + 1
    monkeypatch.setattr(agent.network, "initial_states", lambda rows: pytest.fail("they were made"))
    with pytest.raises(SettingsError, match=f"n_rows = {rows}: there is not enough memory for the states"):
        agent.reset(n_rows=rows)


def test_states_that_are_not_its_own_are_refused():
    agent, other = agent_of(), agent_of(inputs=PREVIOUS)
    wide = agent_of(model="gru", settings={"d_model": 4})
    for wrong in (None, 3, other.initial_state(2), wide.initial_state(2)):
        with pytest.raises(SettingsError, match=r"^state: .*initial_state or step of this agent"):
            agent.step(np.zeros((2, 3)), wrong)
        with pytest.raises(SettingsError, match=r"^state: "):
            agent.forget(wrong, [0])
    for wrong in (-1, 0, "2", None, 1.0, True):
        with pytest.raises(SettingsError, match=re.escape(f"n_rows = {wrong!r}: should be a whole number ≥ 1")):
            agent.initial_state(wrong)
    with pytest.raises(SettingsError, match=r"rows = .*: should be numbers from 0 to 1"):
        agent.forget(agent.initial_state(2), [[1], [1, 2]])


def test_what_a_program_has_set_for_itself_changes_nothing():
    agent = agent_of()
    agent.act(np.ones(3))
    expected = agent.logits
    weights = weights_of(description_of())
    torch.set_default_dtype(torch.float64)
    try:
        other = Agent(description_of(), weights)
        other.act(np.ones(3))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.array_equal(other.logits, expected)
    agent.reset()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        agent.act(np.ones(3))
    assert np.array_equal(agent.logits, expected)


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
    for device in ("gpu", "meta", "hpu", None):
        with pytest.raises(SettingsError, match=f"device = {device!r}: should be one that PyTorch has here"):
            agent_of(device=device)
    with pytest.raises(SettingsError, match=r"seed = -1: should be a whole number from 0 to 2⁶³ − 1"):
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
