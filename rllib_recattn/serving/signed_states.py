"""States that clients keep: as strings with a signature, so that nobody but the server can have made them.

A string is the base64 of a header in JSON, a line break, the numbers of the state, and their HMAC-SHA256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.state import AgentState
from rllib_recattn.errors import SettingsError

_SIGNATURE = hashlib.sha256().digest_size
_FORMAT = 1


class SignedStates:
    """Turns states of one row into strings, and back.

    Args:
        secret: What the signature is made with. Servers with the same one take each other's states.
        agent: What tells the agent from others, such as a checksum.
        sizes: S of each memory of the agent.
        previous_size: P, numbers of its previous action and reward.
        expire_s: Seconds after which a state is no longer taken.
        device: Where the agent computes.
        clock: Tells the time, in seconds.
    """

    def __init__(
        self,
        secret: bytes,
        agent: str,
        sizes: Sequence[int],
        previous_size: int,
        expire_s: float,
        device: torch.device | None = None,
        clock: Callable[[], float] = time.time,
    ):
        self._key, self._agent, self._sizes, self._previous_size = secret, agent, list(sizes), previous_size
        self._expire_s, self._device, self._clock = expire_s, device, clock

    def write(self, state: AgentState, session: str) -> str:
        """Return the string of a state [1, …] that belongs to a session."""
        header = {
            "format": _FORMAT,
            "agent": self._agent,
            "session": session,
            "issued": self._clock(),
            "begun": bool(state.begun[0]),
        }
        parts = [*(memory.cpu().numpy() for memory in state.memories), *_present(state.previous)]
        numbers = b"".join(part.astype("<f4").tobytes() for part in parts)
        signed = json.dumps(header, separators=(",", ":")).encode() + b"\n" + numbers
        return base64.urlsafe_b64encode(signed + self._signature(signed)).decode("ascii")

    def read(self, text: str, session: str) -> AgentState:
        """Return the state that a string is of.

        Raises:
            SettingsError: If no server with this secret wrote it, or it is of another agent or session, or too old.
        """
        try:
            content = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            content = b""
        signed, signature = content[:-_SIGNATURE], content[-_SIGNATURE:]
        if not signed or not hmac.compare_digest(signature, self._signature(signed)):
            raise _wrong("is none that this server wrote, or it was changed, or the server has a new secret since")
        header, _, numbers = signed.partition(b"\n")
        said = json.loads(header)  # our own, as the signature says
        if said["format"] != _FORMAT or said["agent"] != self._agent:
            raise _wrong("is of another agent")
        if said["session"] != session:
            raise _wrong(f"is of the session {said['session']!r}, not {session!r}")
        if self._clock() - said["issued"] > self._expire_s:
            raise _wrong(f"has expired, {self._expire_s:g} s after it was written")
        return self._state(numbers, said)

    def _state(self, numbers: bytes, said: dict[str, Any]) -> AgentState:
        flat = np.frombuffer(numbers, "<f4").astype(np.float32)
        ends = np.cumsum([*self._sizes, self._previous_size])
        *memories, previous = (part[None] for part in np.split(flat, ends[:-1]))
        return AgentState(
            tuple(torch.from_numpy(memory.copy()).to(self._device) for memory in memories),
            previous.copy() if self._previous_size else None,
            np.array([said["begun"]]),
        )

    def _signature(self, signed: bytes) -> bytes:
        return hmac.new(self._key, signed, hashlib.sha256).digest()


def _present(previous: np.ndarray | None) -> list[np.ndarray]:
    return [] if previous is None else [previous]


def _wrong(problem: str) -> SettingsError:
    return SettingsError(
        f"state: {problem}; should be what the last answer to this session held, or be left out where an episode begins"
    )


def fingerprint(agent: Agent) -> str:
    """Compute a checksum of an agent's model, weights and spaces: a state means something to this agent alone."""
    digest = hashlib.sha256()
    description = agent.description
    settings = description.settings.model_dump(), description.inputs.model_dump()
    spaces = str(agent.observation_space), str(agent.action_space)
    digest.update(json.dumps([description.model, *settings, *spaces], sort_keys=True).encode())
    for name, tensor in sorted(agent.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
