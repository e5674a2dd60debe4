"""What is served honours masks."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary

from rllib_recattn.serving.app import make_app
from tests.agents.small import agent_of
from tests.serving.test_app import SECRET, Client, act


def test_a_served_agent_takes_allowed_actions_and_refuses_a_mask_of_zeros() -> None:
    space = Dict({"mask": MultiBinary(4), "x": Box(-1, 1, (3,))})
    agent = agent_of(space, Discrete(4), model="gru", settings={"d_model": 8}, inputs={"action_mask": "mask"})
    client, state = Client(make_app(agent, secret=SECRET)), None
    for allowed in range(4):
        answer = act(client, {"mask": np.eye(4, dtype=int)[allowed], "x": [0.1, 0.2, 0.3]}, state, explore=True)
        assert answer["action"] == allowed
        state = answer["state"]
    refused = client.post("/act", json={"observation": {"mask": [0, 0, 0, 0], "x": [0, 0, 0]}, "state": state})
    assert refused.status_code == 422
    assert "the mask 'mask' allows no action" in refused.text
