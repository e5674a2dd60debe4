"""An agent without memory, which shows how much of a task needs none.

``benchmarks.envs.memoryless:memoryless`` is its name as a model in YAML: two layers that read one step at a time, and a
state of one number that says nothing.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

import rllib_recattn as ra
from rllib_recattn.models.base import ModelSettings, SequenceModel, StateLayout


class MemorylessSettings(ModelSettings):
    d_model: int = Field(128, gt=0, description="width of both layers")

    @property
    def output_dim(self) -> int:
        return self.d_model

    def build(self, input_dim: int) -> Memoryless:
        return Memoryless(input_dim, self)


class Memoryless(SequenceModel):
    def __init__(self, input_dim: int, settings: MemorylessSettings):
        super().__init__(input_dim, settings.output_dim, StateLayout({"nothing": (1,)}))
        width = settings.d_model
        self.network = nn.Sequential(nn.Linear(input_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        return self.network(x), state


ra.register_model("memoryless", MemorylessSettings, description="two layers without memory", source="-")
