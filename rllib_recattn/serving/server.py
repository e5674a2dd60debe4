"""Running the HTTP interface, in one process or several."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI

from rllib_recattn.agents.agent import Agent
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.trained_agents.load import load_agent
from rllib_recattn.serving.app import make_app

_VARIABLE = "RLLIB_RECATTN_SERVE"
_SHORTEST_SECRET = 16  # bytes
_PATIENCE_S = 5  # with clients that are slow to send, once the process is told to end


@dataclass(frozen=True)
class ServingSettings:
    """What all workers are told.

    Attributes:
        path: The agent's, as :func:`rllib_recattn.load_agent` takes it.
        policy: Which policy, of several.
        trust: Whether it may name code to be imported.
        device: Where it computes.
        secret: What states are signed with, in hexadecimal.
        expire_s: Seconds after which a state is no longer taken.
        largest_body: Bytes of a request at most.
    """

    path: str
    policy: str | None
    trust: bool
    device: str
    secret: str
    expire_s: float
    largest_body: int

    def load(self) -> Agent:
        """Load the agent."""
        return load_agent(self.path, policy=self.policy, trust=self.trust, device=self.device)

    def app(self, agent: Agent) -> FastAPI:
        """Make the application."""
        return make_app(
            agent, secret=bytes.fromhex(self.secret), expire_s=self.expire_s, largest_body=self.largest_body
        )


def read_secret(file: Path | None) -> str:
    """Return a secret in hexadecimal: what a file holds, or a new one.

    Raises:
        SettingsError: If it cannot be read or is too short.
    """
    if file is None:
        return secrets.token_hex(32)
    try:
        content = file.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"--secret-file {str(file)!r}: cannot be read: {error.strerror}") from error
    if len(content) < _SHORTEST_SECRET:
        raise SettingsError(f"--secret-file {str(file)!r}: should hold at least {_SHORTEST_SECRET} bytes")
    return content.hex()


def serve(settings: ServingSettings, agent: Agent, *, host: str, port: int, workers: int) -> None:
    """Serve until the process is told to end.

    Args:
        settings: What workers are told.
        agent: The agent, loaded: what is wrong with it has been said by then.
        host: The address to listen at.
        port: The port.
        workers: How many processes. One that ends by accident is started again.
    """
    options: dict[str, Any] = {"host": host, "port": port, "log_level": "warning", "server_header": False}
    options["timeout_graceful_shutdown"] = _PATIENCE_S
    if workers == 1:
        uvicorn.run(settings.app(agent), **options)
        return
    settings = replace(settings, path=str(Path(settings.path).absolute()))
    os.environ[_VARIABLE] = json.dumps(asdict(settings))
    try:
        uvicorn.run(f"{__name__}:worker", factory=True, workers=workers, **options)
    finally:
        del os.environ[_VARIABLE]


def worker() -> FastAPI:
    """Make the application of one of several processes, as the environment says."""
    settings = ServingSettings(**json.loads(os.environ[_VARIABLE]))
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # each has a processor of its own at best
    return settings.app(settings.load())
