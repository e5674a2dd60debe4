"""Models of known ability: one that looks up what is right, one without memory, and one whose state is empty."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.base import ModelSettings, SequenceModel, StateLayout
from rllib_recattn.probing.tasks import N_SYMBOLS, Task
from tests.probing.answers import answers_by_hand


class PerfectMemory(SequenceModel):
    """Works the answers out from all that it has read, and puts them out one-hot; all zeros where nothing is asked.

    There are many copies of the answer, so that a linear layer learns within a few updates to tell it.
    """

    def __init__(self, task: Task, n_copies: int = 256):
        super().__init__(N_SYMBOLS, n_copies * task.n_classes, StateLayout({"unused": (1,)}))
        self.task, self.n_copies = task, n_copies
        self.weight = nn.Parameter(torch.ones(1))

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        shown: list[list[list[int]]] = [[[] for _ in range(x.shape[1])] for _ in range(x.shape[0])]
        for row, step, symbol in x.nonzero().tolist():
            shown[row][step].append(symbol)
        y = torch.zeros(*x.shape[:2], self.task.n_classes)
        for row, steps in enumerate(shown):
            for step, answer in enumerate(answers_by_hand(self.task.name, steps)):
                if answer is not None:
                    y[row, step, answer] = 1
        return self.weight * y.repeat(1, 1, self.n_copies), state


class NoMemorySettings(ModelSettings):
    width: int = Field(8, gt=0, description="of the output; named as no other model names it")

    @property
    def output_dim(self) -> int:
        return self.width

    def build(self, input_dim: int) -> NoMemory:
        return NoMemory(input_dim, self)


class NoMemory(SequenceModel):
    """A layer of each step by itself. State: empty."""

    def __init__(self, input_dim: int, settings: NoMemorySettings):
        super().__init__(input_dim, settings.output_dim, StateLayout({"nothing": (0,)}))
        self.layer = nn.Linear(input_dim, settings.output_dim)

    def contain(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.layer(x).tanh(), state

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        return self.layer(x).tanh(), state
