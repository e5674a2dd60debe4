"""The HTTP interface of an agent: it acts as the agent does, for many at once, and refuses what is wrong."""

from __future__ import annotations

import asyncio
import json

import httpx
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple

from rllib_recattn.agents.agent import Agent
from rllib_recattn.serving.app import make_app
from tests.agents.small import agent_of, description_of, weights_of

SECRET = b"a secret of the tests"
OBSERVATIONS = Dict({"image": Box(0, 255, (8, 8, 3), np.uint8), "pair": Tuple([Discrete(3), Box(-9, 9, (2,))])})
ACTIONS = Tuple([Box(-2, 5, (2,)), MultiDiscrete([2, 3])])


class Client:
    """Asks an application, one request after the other."""

    def __init__(self, app):
        self._app = app

    def request(self, method, path, **content):
        async def ask():
            async with client_of(self._app) as client:
                return await client.request(method, path, **content)

        return asyncio.run(ask())

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, **content):
        return self.request("POST", path, **content)


def client_of(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://agent")


@pytest.fixture
def client():
    return Client(make_app(agent_of(), secret=SECRET))


def as_json(value):
    return json.loads(json.dumps(value, default=lambda part: part.tolist()))


def act(client, observation, state=None, **further):
    answer = client.post("/act", json={"observation": as_json(observation), "state": state, **further})
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer, status=422):
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


@pytest.mark.parametrize(
    ("spaces", "fields"),
    [
        ((), {}),
        ((), {"model": "lstm", "settings": {"d_model": 4}, "vf_share_layers": False, "values": True}),
        ((OBSERVATIONS, ACTIONS), {"inputs": {"use_prev_action": True, "use_prev_reward": True}}),
    ],
    ids=["as usual", "values", "nested, with previous inputs"],
)
def test_it_acts_as_the_agent_does(spaces, fields):
    agent, served = agent_of(*spaces, **fields), agent_of(*spaces, **fields)
    agent.observation_space.seed(0)
    client = Client(make_app(served, secret=SECRET))
    state = None
    for step in range(6):
        if step == 4:  # an episode begins
            agent.reset()
            state = None
        observation, reward = agent.observation_space.sample(), float(step)
        expected = as_json(agent.act(observation, reward=reward))
        answer = act(client, observation, state, session="a", reward=reward, logits=True)
        assert answer["action"] == expected
        np.testing.assert_array_equal(np.float32(answer["logits"]), agent.logits)
        if fields.get("values"):
            assert np.float32(answer["value"]) == agent.values
        state = answer["state"]


def test_a_drawn_action_is_likely_and_not_always_the_same(client):
    observation = [0.1, 0.2, 0.3]
    drawn = [act(client, observation, explore=True, logits=True)["action"] for _ in range(40)]
    assert len(set(drawn)) > 1


def test_an_episode_begins_with_reset_or_without_a_state(client):
    observation = [0.5, -0.5, 0.25]
    begun = client.post("/reset", json={"session": "a"}).json()["state"]
    with_state, without = (act(client, observation, state, session="a", logits=True) for state in (begun, None))
    assert with_state["logits"] == without["logits"]


def test_a_hundred_sessions_at_once_are_as_each_alone():
    agent, n_sessions, n_steps = agent_of(), 100, 4
    observations = np.random.default_rng(0).uniform(-1, 1, (n_sessions, n_steps, 3)).astype(np.float32)
    app = make_app(agent_of(), secret=SECRET)

    async def play():
        async with client_of(app) as client:

            async def session(number):
                state, logits = None, []
                for observation in observations[number]:
                    asked = {"session": str(number), "observation": observation.tolist(), "state": state}
                    answer = (await client.post("/act", json={**asked, "logits": True})).json()
                    state, logits = answer["state"], [*logits, answer["logits"]]
                return logits

            return await asyncio.gather(*map(session, range(n_sessions)))

    played = np.array(asyncio.run(play()))
    agent.reset(n_rows=n_sessions)
    for step in range(n_steps):
        agent.act(observations[:, step])
        np.testing.assert_allclose(played[:, step], agent.logits, rtol=1e-5, atol=1e-6)
    assert max(app.state.batches.sizes) > 1, "none was answered together with another"
    assert sum(rows * times for rows, times in app.state.batches.sizes.items()) == n_sessions * n_steps


def test_one_that_cannot_be_computed_harms_no_other():
    app = make_app(agent_of(), secret=SECRET)

    async def ask():
        async with client_of(app) as client:
            asked = [[0.1, 0.2, 0.3], [3e38, 3e38, 3e38], [0.3, 0.2, 0.1]]
            return await asyncio.gather(*(client.post("/act", json={"observation": each}) for each in asked))

    good, bad, also_good = asyncio.run(ask())
    assert (good.status_code, also_good.status_code) == (200, 200)
    assert "NaN or infinity" in problem(bad)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"observation": [0.1, 0.2]}, r"observation: has shape (2,); should be (3,)"),
        ({"observation": [0.1, 0.2, "a"]}, "should be numbers of shape (3,)"),
        ({"observation": {"a": 1}}, "should be numbers of shape (3,)"),
        ({"observation": None}, "should be numbers of shape (3,)"),
        ({}, "body.observation: Field required"),
        ({"observation": [0, 0, 0], "sate": "a"}, "body.sate: Extra inputs are not permitted"),
        ({"observation": [0, 0, 0], "state": "bm9uZQ=="}, "state: is none that this server wrote"),
        ({"observation": [0, 0, 0], "state": "ä"}, "state: is none that this server wrote"),
        ({"observation": [0, 0, 0], "state": ""}, "state: is none that this server wrote"),
        ({"observation": [0, 0, 10**400]}, "should be numbers of shape (3,)"),
        ({"observation": [0, 0, 10**40]}, "observation: has 1e+40 at index (2,); should have finite numbers"),
        ({"observation": [0, 0, 0], "session": "a" * 257}, "body.session: String should have at most 256 characters"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(client, body, says):
    assert says in problem(client.post("/act", json=body))


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\x00\xff", b"[" * 100_000, b'{"observation": [NaN, 1e999, 0]}', b"[1]", b'"a"'],
    ids=["nothing", "words", "bytes", "nesting", "no numbers", "a list", "a string"],
)
def test_garbage_is_refused(client, content):
    assert problem(client.post("/act", content=content, headers={"content-type": "application/json"}))
    assert client.get("/healthz").json()["status"] == "ok"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_that_does_not_say_that_it_is_json(client, kind):
    answer = client.post("/act", content=b'{"observation": [0, 0, 0]}', headers={"content-type": kind} if kind else {})
    assert problem(answer) == f"content-type: is {kind!r}; should be 'application/json'"


def test_whole_numbers_that_only_floats_hold(client):
    assert act(client, [0, 0, 10**30], logits=True)["logits"] == act(client, [0.0, 0.0, 1e30], logits=True)["logits"]


def test_keys_that_are_whole_numbers_and_many_that_are_none():
    space = Dict([(1, Box(-1, 1, (2,))), (0, Tuple([Dict([(7, Discrete(2)), (2, Discrete(3))])]))])
    agent, client = agent_of(space), Client(make_app(agent_of(space), secret=SECRET))
    expected = agent.act({1: [0.5, 0.1], 0: [{7: 1, 2: 2}]})
    assert act(client, {"1": [0.5, 0.1], "0": [{"7": 1, "2": 2}]})["action"] == expected
    answer = client.post("/act", json={"observation": {f"key {number}": 1 for number in range(5000)}})
    assert "'key 19' and 4,980 more" in problem(answer)
    assert len(answer.content) < 1000


def test_actions_that_json_cannot_say_are_refused():
    description = description_of(None, Box(-np.inf, np.inf, (2,)))
    weights = weights_of(description)
    weights["policy.layers.0.bias"][2:] = 200  # log standard deviations
    client = Client(make_app(Agent(description, weights), secret=SECRET))
    assert all(map(np.isfinite, act(client, [0, 0, 0])["action"]))
    assert "which JSON cannot say" in problem(client.post("/act", json={"observation": [0, 0, 0], "explore": True}))


def test_a_missing_reward_is_said():
    agent = agent_of(inputs={"use_prev_reward": True})
    client = Client(make_app(agent, secret=SECRET))
    state = act(client, [0, 0, 0])["state"]
    answer = client.post("/act", json={"observation": [0, 0, 0], "state": state})
    assert "reward is missing" in problem(answer)
    act(client, [0, 0, 0], state, reward=1.0)


def test_a_body_that_is_too_large_is_not_read():
    sent = 0

    async def endless():
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"0" * 1000

    client = Client(make_app(agent_of(), secret=SECRET, largest_body=10_000))
    for content in (b"0" * 10_001, endless()):
        answer = client.post("/act", content=content, headers={"content-type": "application/json"})
        assert "longer than 10,000 bytes" in problem(answer, 413)
    assert sent < 20
    act(client, [0, 0, 0])


def test_it_describes_itself(client):
    about = client.get("/agent").json()
    assert about["model"] == "agalite"
    assert about["observation_space"]["shape"] == [3]
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/act", "/reset", "/agent", "/healthz"}
    assert client.get("/docs").status_code == 200
