"""The HTTP interface of an agent.

The server keeps nothing of a session. Its state goes back to the client with each answer, signed, and comes with the
next request: any worker can answer it, one that is killed takes nothing with it, nothing is to be tidied up, and the
requests of a session are in order by themselves, since each needs what the one before it brought.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import tree
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from rllib_recattn._version import __version__
from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.space_data import space_to_data
from rllib_recattn.errors import SettingsError
from rllib_recattn.serving import batches
from rllib_recattn.serving.body_limit import BodyLimit
from rllib_recattn.serving.signed_states import SignedStates, fingerprint

LARGEST_BODY = 16 << 20
EXPIRE_S = 3600.0
_UNREADABLE = (
    "body: cannot be read; should be JSON in UTF-8, not nested so deeply and without numbers of so many digits"
)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    session: str = Field("", max_length=256, description="whose request it is, by a name of the client's choice")


class ResetRequest(_Message):
    """An episode begins."""


class ActRequest(_Message):
    """A step of an episode."""

    observation: Any = Field(description="what the environment shows, nested like the observation space; GET /agent")
    state: str | None = Field(None, description="what the last answer held; left out where an episode begins")
    reward: float | None = Field(
        None, description="what the environment gave for the last action, for agents that read it"
    )
    explore: bool = Field(False, description="whether to draw the action, rather than to take the most likely one")
    logits: bool = Field(False, description="whether to answer with the logits as well")


class ResetAnswer(BaseModel):
    """The state at the beginning of an episode, for those who would rather not leave it out."""

    state: str


class ActAnswer(BaseModel):
    """The action, and the state to send with the next observation."""

    action: Any = Field(description="nested like the action space; lists in the place of arrays and tuples")
    state: str
    logits: list[float] | None = None
    value: float | None = None


class Problem(BaseModel):
    """What was wrong with a request, and what would be right."""

    detail: str


def make_app(
    agent: Agent,
    *,
    secret: bytes,
    expire_s: float = EXPIRE_S,
    largest_body: int = LARGEST_BODY,
    most_rows: int = 256,
) -> FastAPI:
    """Make an ASGI application that acts.

    Args:
        agent: The agent; nobody else should use it from now on.
        secret: What states are signed with; the same for all workers.
        expire_s: Seconds after which a state is no longer taken.
        largest_body: Bytes of a request at most.
        most_rows: How many requests are answered by one step of the agent at most.
    """
    sizes = agent.network.state_sizes()
    states = SignedStates(secret, fingerprint(agent), sizes, agent.previous_size, expire_s, agent.device)
    work = batches.Batches(agent, most_rows)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        work.close()

    app = FastAPI(
        title="An agent with memory",
        version=__version__,
        description="POST /act with an observation; the answer's `state` goes into the next request of the session.",
        lifespan=lifespan,
    )
    app.state.batches = work
    refused: dict[int | str, dict[str, Any]] = {422: {"model": Problem}, 413: {"model": Problem}}

    @app.post("/act", responses=refused)
    async def act(asked: ActRequest) -> ActAnswer:
        """Return the action for an observation."""
        observation = agent.check(_with_keys_of(agent.observation_space, asked.observation))
        state = agent.initial_state(1) if asked.state is None else states.read(asked.state, asked.session)
        answer = await work.act(batches.Request(observation, state, asked.reward, asked.explore))
        _check_finite(answer)
        return ActAnswer(
            action=tree.map_structure(lambda part: part.tolist(), answer.action),
            state=states.write(answer.state, asked.session),
            logits=answer.logits.tolist() if asked.logits else None,
            value=answer.value,
        )

    @app.post("/reset", responses=refused)
    async def reset(asked: ResetRequest) -> ResetAnswer:
        """Return the state at the beginning of an episode. To leave the state out of /act says the same."""
        return ResetAnswer(state=states.write(agent.initial_state(1), asked.session))

    @app.get("/agent")
    async def about() -> dict[str, Any]:
        """Say what the agent is given, and what it returns."""
        description = agent.description
        return {
            "model": description.model,
            "settings": description.settings.model_dump(),
            "inputs": description.inputs.model_dump(),
            "observation_space": space_to_data(agent.observation_space),
            "action_space": space_to_data(agent.action_space),
        }

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Say that this worker is ready."""
        return {"status": "ok", "model": agent.description.model, "version": __version__, "process": os.getpid()}

    @app.exception_handler(SettingsError)
    async def wrong(_: Request, error: SettingsError) -> Response:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        said = request.headers.get("content-type")
        if "json" not in (said or "") and any(each["loc"] == ("body",) for each in error.errors()):
            return JSONResponse({"detail": f"content-type: is {said!r}; should be 'application/json'"}, 422)
        # Without what was sent, of which there may be much, and not all of which JSON can say.
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return JSONResponse({"detail": "; ".join(problems)}, 422)

    @app.exception_handler(400)
    async def unreadable(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": _UNREADABLE}, 422)

    app.add_middleware(BodyLimit, largest=largest_body)
    return app


def _with_keys_of(space: gym.Space, value: Any) -> Any:
    """Give what JSON holds the keys of a space that are whole numbers, which JSON has as strings."""
    if isinstance(space, gym.spaces.Dict) and isinstance(value, dict):
        keys = {str(key): key for key in space.spaces if str(key) not in space.spaces}
        named = {keys.get(name, name): each for name, each in value.items()}
        return {key: _with_keys_of(space[key], each) if key in space.spaces else each for key, each in named.items()}
    if isinstance(space, gym.spaces.Tuple) and isinstance(value, list) and len(value) == len(space.spaces):
        return [_with_keys_of(*pair) for pair in zip(space.spaces, value, strict=True)]
    return value


def _check_finite(answer: batches.Answer) -> None:
    """Refuse what JSON would make null of.

    Raises:
        SettingsError: If an action or the value is not finite.
    """
    for part in tree.flatten(answer.action):
        if not np.isfinite(part).all():
            raise SettingsError(
                f"action: is {np.asarray(part).tolist()}, which JSON cannot say: the agent's numbers, or the standard "
                "deviations by which it draws actions (explore = true), are too large"
            )
    if answer.value is not None and not math.isfinite(answer.value):
        raise SettingsError(f"value: is {answer.value}, which JSON cannot say: the agent's numbers are too large")
