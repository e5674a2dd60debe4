"""What an agent carries from step to step.

Shape suffixes: B rows, S numbers of state, P numbers of a previous action and reward.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
