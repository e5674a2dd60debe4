"""A model whose state may have any size, and that costs next to nothing besides."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

import rllib_recattn as ra
from rllib_recattn.models.base import ModelSettings, SequenceModel, StateLayout

FLOATS_PER_KIB = 256


class HeldStateSettings(ModelSettings):
    """Settings of the model."""

    state_kib: int = Field(1, gt=0, description="size of the state, in KiB of float32")
    d_model: int = Field(16, gt=0, description="features of each output step")

    @property
    def output_dim(self) -> int:
        return self.d_model

    def build(self, input_dim: int) -> HeldState:
        return HeldState(input_dim, self)


class HeldState(SequenceModel):
    """A linear map beside a state that every step changes: whoever carries that has to do the work in full."""

    def __init__(self, input_dim: int, settings: HeldStateSettings):
        layout = StateLayout({"memory": (settings.state_kib * FLOATS_PER_KIB,)})
        super().__init__(input_dim, settings.d_model, layout)
        self.linear = nn.Linear(input_dim, settings.d_model)

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        y = self.linear(x)
        return y, {"memory": state["memory"] + y[..., 0].sum(1, keepdim=True)}


ra.register_model("held_state", HeldStateSettings, description="a state of any size", source="this benchmark")
