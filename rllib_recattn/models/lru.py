"""LRU, the linear recurrent unit (arXiv 2303.06349, section 3), and RTU, recurrent trace units (arXiv 2409.01449).

From the normalised input h of a step, with a complex memory x of N numbers:

    λ = exp(−e^ν + i e^θ)      γ = √(1 − |λ|²)      x ← λ ⊙ x + γ ⊙ (B h)

and read by

    y = Re(C x) + D ⊙ h             LRU
    y = W_o relu([Re x; Im x])      RTU, in its form with a linear recurrence

What is forgotten does not depend on what is seen: each number fades at a pace of its own and turns as it does, so that
the memory tells by the angle how long ago something was. γ keeps the size of the memory the same for all paces; the LRU
has it as a weight that begins there, here as in RTU it follows λ.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.complex_scan import complex_recurrence
from rllib_recattn.models.parts.stack import Mixer, Stack, StackSettings
from rllib_recattn.models.parts.timescales import timescales

Readout = Literal["linear", "rectified"]


class LRUSettings(StackSettings):
    """Settings of the LRU; the sizes are those of the other stacked models."""

    d_state: int | None = Field(None, gt=0, description="complex numbers that a block remembers; None: d_model")
    max_timescale: float = Field(
        64.0, ge=2, description="steps over which the slowest of them fade at the start; the fastest take 2"
    )
    max_phase: float = Field(
        math.pi, gt=0, description="by how many radians a step turns the quickest of them at the start, at most"
    )
    readout: Readout = Field(
        "linear",
        description='what reads them: "linear", a projection of the complex numbers, as in LRU; "rectified", one of '
        "the relu of their real and imaginary parts, as in RTU",
    )

    def build(self, input_dim: int) -> LRU:
        """Build the model for inputs of `input_dim` features."""
        return LRU(input_dim, self)


class LRU(Stack):
    """A stack of blocks with linear recurrent units, behind one Dense layer with relu.

    State: n_layers · 2 · d_state numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: LRUSettings):
        super().__init__(input_dim, settings, [LRURecurrence(settings) for _ in range(settings.n_layers)])


class LRURecurrence(Mixer):
    """The recurrence of one layer; the module's docstring has its equations.

    State: `memory`, the real and the imaginary parts of x [B, 2, N].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: LRUSettings):
        d_model = settings.d_model
        n_units = settings.d_state or d_model
        super().__init__({"memory": (2, n_units)})
        self.log_rate = nn.Parameter(-torch.log(timescales(n_units, settings.max_timescale)))  # ν: |λ| = exp(−1/τ)
        # Never 0, whose logarithm no step of an optimiser would leave again.
        self.log_phase = nn.Parameter(torch.log(settings.max_phase * (1 - 0.999 * torch.rand(n_units))))  # θ
        self.input = orthogonal_linear(d_model, n_units, n_units, bias=False)  # Re B, Im B
        self.output = orthogonal_linear(2 * n_units, d_model, bias=False)  # Re C, −Im C, or W_o
        self.skip = nn.Parameter(torch.randn(d_model)) if settings.readout == "linear" else None  # D

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        rate = torch.exp(self.log_rate)
        scale = torch.sqrt(-torch.expm1(-2 * rate))
        written = self.input(h).unflatten(-1, (2, -1)) * scale
        memory = complex_recurrence(torch.exp(-rate), torch.exp(self.log_phase), written, state["memory"], is_first)
        parts = memory.flatten(-2)
        y = self.output(torch.relu(parts)) if self.skip is None else torch.addcmul(self.output(parts), self.skip, h)
        return y, {"memory": memory[:, -1]}

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − |λ| [B, T, 1, N], the same for all steps; see :meth:`Mixer.gates`."""
        forgotten = -torch.expm1(-torch.exp(self.log_rate))
        return {"1 − |λ|": forgotten.expand(*h.shape[:2], 1, -1)}
