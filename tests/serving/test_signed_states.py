"""States that clients keep: what is written is read again, and nothing else is."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from rllib_recattn.agents.state import AgentState
from rllib_recattn.errors import SettingsError
from rllib_recattn.serving.signed_states import SignedStates, fingerprint
from tests.agents.small import agent_of, description_of, weights_of


def states(secret=b"secret", agent="an agent", sizes=(3, 2), previous_size=2, expire_s=60.0, clock=lambda: 1000.0):
    return SignedStates(secret, agent, sizes, previous_size, expire_s, clock=clock)


def state_of(previous=True, begun=True):
    memories = torch.tensor([[1.0, float("inf"), -1e-30]]), torch.tensor([[0.1, 0.0]])
    return AgentState(memories, np.float32([[0.5, 2]]) if previous else None, np.array([begun]))


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("previous_size", [0, 2])
def test_what_was_written_is_read(begun, previous_size):
    written = state_of(previous_size > 0, begun)
    signer = states(previous_size=previous_size)
    read = signer.read(signer.write(written, "ä session"), "ä session")
    assert all(map(torch.equal, read.memories, written.memories))
    np.testing.assert_array_equal(read.previous, written.previous)
    assert read.begun.tolist() == [begun]


@pytest.mark.parametrize(
    ("reader", "session", "says"),
    [
        (states(secret=b"another"), "a", "is none that this server wrote"),
        (states(agent="another"), "a", "is of another agent"),
        (states(), "b", "is of the session 'a', not 'b'"),
        (states(clock=lambda: 1060.5), "a", "has expired, 60 s after it was written"),
    ],
)
def test_what_is_not_this_sessions_is_refused(reader, session, says):
    text = states().write(state_of(), "a")
    assert states().read(text, "a")
    with pytest.raises(SettingsError, match=says):
        reader.read(text, session)


def test_every_bit_counts():
    text = states().write(state_of(), "a")
    content = base64.urlsafe_b64decode(text)
    for index in range(len(content)):
        changed = bytearray(content)
        changed[index] ^= 1
        with pytest.raises(SettingsError, match="is none that this server wrote"):
            states().read(base64.urlsafe_b64encode(bytes(changed)).decode(), "a")
    for shorter in (text[:-4], text[4:], text + text):
        with pytest.raises(SettingsError, match="is none that this server wrote"):
            states().read(shorter, "a")


def test_agents_are_told_apart_by_their_weights():
    agent = agent_of()
    assert fingerprint(agent) == fingerprint(agent_of())
    other = type(agent)(agent.description, weights_of(description_of(), seed=1))
    assert fingerprint(agent) != fingerprint(other)
    narrow, wide = (agent_of(None, Box(-bound, bound, (2,))) for bound in (1, 2))
    assert fingerprint(narrow) != fingerprint(wide)
