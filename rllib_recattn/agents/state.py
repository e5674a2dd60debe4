"""What an agent carries from step to step, and what a step gives.

Shape suffixes: B rows, S numbers of state, L logits, P numbers of a previous action and reward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class AgentState:
    """The states of the rows of a batch, made by :meth:`Agent.initial_state` and :meth:`Agent.step`.

    Attributes:
        memories: The model's state [B, S], and behind it that of a value function's own model, if it is computed.
        previous: The previous action, encoded, and room for the reward, float32 [B, P]; None if neither is read.
        begun: Which rows have acted since their episode began, boolean [B].
    """

    memories: tuple[Tensor, ...]
    previous: np.ndarray | None
    begun: np.ndarray

    @property
    def n_rows(self) -> int:
        """B."""
        return len(self.begun)

    def row(self, index: int) -> AgentState:
        """Return the state of one row [1, …], which is a copy."""
        rows = slice(index, index + 1)
        return AgentState(
            tuple(memory[rows].clone() for memory in self.memories),
            None if self.previous is None else self.previous[rows].copy(),
            self.begun[rows].copy(),
        )


def join_states(states: Sequence[AgentState]) -> AgentState:
    """Return the states of an agent as one, whose rows are theirs in that order."""
    previous = [state.previous for state in states if state.previous is not None]
    return AgentState(
        tuple(torch.cat(memories) for memories in zip(*(state.memories for state in states), strict=True)),
        np.concatenate(previous) if previous else None,
        np.concatenate([state.begun for state in states]),
    )


class Step(NamedTuple):
    """All that a step gives.

    Attributes:
        actions: For the environment, a row each [B, …], nested like the action space.
        state: The state after it.
        logits: [B, L], float32, laid out as RLlib's.
        values: [B], float32; None unless the agent was loaded with ``values=True``.
    """

    actions: Any
    state: AgentState
    logits: Tensor
    values: Tensor | None
