"""Acting for many sessions at once: what has come in while a step was computed is the next step's batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tree

from rllib_recattn.agents.agent import Agent
from rllib_recattn.agents.state import AgentState, join_states
from rllib_recattn.errors import SettingsError


@dataclass(frozen=True, eq=False)
class Request:
    """What one session asks for.

    Attributes:
        observation: As :meth:`Agent.check` returned it.
        state: The state before it, of one row.
        reward: What the last action was given; None: nothing was said.
        explore: Whether to draw the action.
    """

    observation: Any
    state: AgentState
    reward: float | None
    explore: bool


class Answer(NamedTuple):
    """What it gets.

    Attributes:
        action: For the environment, nested like the action space.
        state: The state after it, of one row.
        logits: [L].
        values: The value of the observation; None unless the agent computes values.
    """

    action: Any
    state: AgentState
    logits: np.ndarray
    value: float | None


_Waiting = tuple[Request, "asyncio.Future[Answer]"]


class Batches:
    """Acts for whoever asks, in one thread, which computes while the event loop takes in the next requests.

    Args:
        agent: The agent; nobody else should use it meanwhile.
        most_rows: How many requests are answered by one step at most.

    Attributes:
        sizes: Of the batches so far: rows → how many.
    """

    def __init__(self, agent: Agent, most_rows: int = 256):
        self._agent, self._most_rows = agent, most_rows
        self._waiting: list[_Waiting] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="agent")
        self._task: asyncio.Task[None] | None = None
        self.sizes: dict[int, int] = {}

    async def act(self, request: Request) -> Answer:
        """Act for one session.

        Raises:
            SettingsError: If the agent refuses it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((request, answer))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work())
        return await answer

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._next_batch()
            answers = await loop.run_in_executor(self._thread, self._step, [request for request, _ in batch])
            self.sizes[len(batch)] = self.sizes.get(len(batch), 0) + 1
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if waiting.cancelled():  # its client has gone
                    continue
                if isinstance(answer, Answer):
                    waiting.set_result(answer)
                else:
                    waiting.set_exception(answer)

    def _next_batch(self) -> tuple[list[_Waiting], list[_Waiting]]:
        """Return those that one step can answer, the first that came in among them, and those that have to wait."""
        explore = self._waiting[0][0].explore
        alike = [each for each in self._waiting if each[0].explore == explore]
        others = [each for each in self._waiting if each[0].explore != explore]
        return alike[: self._most_rows], alike[self._most_rows :] + others

    def _step(self, requests: Sequence[Request]) -> list[Answer | Exception]:
        try:
            return list(self._answers(requests))
        except Exception as error:
            if len(requests) == 1:
                return [error]
        # One of them is at fault, and the others should not suffer for it.
        return [answer for request in requests for answer in self._step([request])]

    def _answers(self, requests: Sequence[Request]) -> list[Answer]:
        observations = tree.map_structure(lambda *rows: np.stack(rows), *(each.observation for each in requests))
        state = join_states([each.state for each in requests])
        step = self._agent.full_step(
            observations, state, reward=self._rewards(requests, state.begun), explore=requests[0].explore
        )
        logits = step.logits.cpu().numpy()
        values = None if step.values is None else step.values.cpu().numpy()
        return [
            Answer(
                tree.map_structure(lambda part, row=row: part[row], step.actions),
                step.state.row(row),
                logits[row],
                None if values is None else float(values[row]),
            )
            for row in range(len(requests))
        ]

    def _rewards(self, requests: Sequence[Request], begun: np.ndarray) -> np.ndarray | None:
        if not self._agent.description.inputs.use_prev_reward:
            return None
        if any(request.reward is None and has_begun for request, has_begun in zip(requests, begun, strict=True)):
            raise SettingsError(
                "reward is missing: this agent reads the reward before each observation (use_prev_reward = true); send "
                "what the environment gave for the last action, or leave the state out where an episode begins"
            )
        return np.array([0.0 if request.reward is None else request.reward for request in requests])
