"""FFM, fast and forgetful memory (arXiv 2310.04128, section 3).

From the normalised input h of a step, with a complex memory S of m features at c frequencies:

    S ← γ ⊙ S + (σ(W_i h + b_i) ⊙ (W_x h + b_x)) 1ᵀ      γ = exp(−|α|) exp(i ω)ᵀ
    g = σ(W_g h + b_g)      y = g ⊙ LayerNorm(W_o [Re S; Im S] + b_o) + (1 − g) ⊙ (W_s h + b_s)

A feature that is written goes into all of its c places, which turn at different speeds: read together they tell how
long ago it was. What is forgotten does not depend on what is seen.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.complex_scan import complex_recurrence
from rllib_recattn.models.parts.stack import Mixer, Stack, StackSettings
from rllib_recattn.models.parts.timescales import timescales

NORM_EPSILON = 1e-5


class FFMSettings(StackSettings):
    """Settings of FFM; the sizes of blocks are those of the other stacked models, those of the memory as published."""

    memory_size: int = Field(32, gt=0, description="m, features that a block writes")
    context_size: int = Field(4, gt=0, description="c, frequencies at which each of them turns")
    max_timescale: float = Field(
        1024.0, ge=2, description="steps over which the slowest features fade at the start; the fastest take 2"
    )
    max_period: float = Field(1024.0, ge=1, description="steps of the longest turn at the start; the shortest has 1")

    def build(self, input_dim: int) -> FFM:
        """Build the model for inputs of `input_dim` features."""
        return FFM(input_dim, self)


class FFM(Stack):
    """A stack of blocks with fast and forgetful memory, behind one Dense layer with relu.

    State: n_layers · 2 · memory_size · context_size numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: FFMSettings):
        width = settings.d_model
        super().__init__(input_dim, settings, [FFMLayer(width, width, settings) for _ in range(settings.n_layers)])


class FFMLayer(Mixer):
    """The memory of one layer, and what writes and reads it; the module's docstring has its equations.

    State: `memory`, the real and the imaginary parts of S [B, 2, m, c].

    Args:
        n_inputs: Features of h.
        n_outputs: Features of y.
        settings: Sizes and choices.
    """

    def __init__(self, n_inputs: int, n_outputs: int, settings: FFMSettings):
        m, c = settings.memory_size, settings.context_size
        super().__init__({"memory": (2, m, c)})
        # W_x, W_s | W_i, W_g
        self._sizes = [m, n_outputs, m, n_outputs]
        self.project = orthogonal_linear(n_inputs, *self._sizes)
        self.rate = nn.Parameter(1 / timescales(m, settings.max_timescale))  # α
        self.frequency = nn.Parameter(2 * math.pi / torch.linspace(1, settings.max_period, c))  # ω
        self.output = orthogonal_linear(2 * m * c, n_outputs)
        self.norm = nn.LayerNorm(n_outputs, eps=NORM_EPSILON, elementwise_affine=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        value, skip, write, gate = self.project(h).split(self._sizes, dim=-1)
        written = (value * torch.sigmoid(write)).unsqueeze(-1).expand(*value.shape, len(self.frequency))
        update = torch.stack([written, torch.zeros_like(written)], dim=2)
        decay = torch.exp(-self.rate.abs()).unsqueeze(-1)
        memory = complex_recurrence(decay, self.frequency.unsqueeze(0), update, state["memory"], is_first)
        read = self.norm(self.output(memory.movedim(2, -1).flatten(2)))
        return torch.lerp(skip, read, torch.sigmoid(gate)), {"memory": memory[:, -1]}

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − |γ| [B, T, 1, m], the same for all steps; see :meth:`Mixer.gates`."""
        return {"1 − |γ|": -torch.expm1(-self.rate.abs()).expand(*h.shape[:2], 1, -1)}
