"""Mamba-2: a state space model whose step decides how much of the memory is kept (arXiv 2405.21060, sections 6 and 7).

With H heads of width d and one key and query of width d_k for all of them (the state space's B and C), from the
normalised input h of a step:

    q, k, v = swish(conv(W_q h, W_k h, W_v h))      Δ = softplus(W_Δ h + b)      α = exp(−Δ e^a)
    S ← α S + k (Δ v)ᵀ                              o = Sᵀ q + D v               a scalar Δ, a and D for each head

followed by W_o RMSNorm(o ⊙ swish(W_g h)) over the concatenated heads. conv is a causal convolution of each feature over
the last steps. A step with a small Δ writes little and forgets little: it is passed over.
With `rotary` keys and queries are rotated by the steps between them (:mod:`rllib_recattn.models.parts.rotation`), which
is what the complex state of later versions does; here it is not learned.

At the start Δ is 1 where h is 0, and the heads forget over time scales e^−a of 2 to `max_timescale` steps. The
published layer starts with a Δ of 0.001 to 0.1: each step writes little to memories that thousands are to fill.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.parts.recent_steps import RECENT
from rllib_recattn.models.parts.rotation import RotarySettings, rotated, turn_of_a_step
from rllib_recattn.models.parts.short_convolution import ShortConvolution
from rllib_recattn.models.parts.stack import Mixer, MultiHeadSettings, Stack
from rllib_recattn.models.parts.timescales import slowest_first

NORM_EPSILON = 1e-5


class Mamba2Settings(RotarySettings, MultiHeadSettings):
    """Settings of Mamba-2; the sizes are those of the other stacked models."""

    d_key: int | None = Field(
        None,
        gt=0,
        description="width of the key and the query, of all heads the same, which the paper calls state size; "
        "None: d_head",
    )
    conv_size: int = Field(
        4,
        ge=0,
        description="steps of the causal convolution of queries, keys and values; 4 as published; 0: none",
    )
    max_timescale: float = Field(64.0, ge=2, description="steps over which the slowest head forgets at the start")

    @property
    def key_width(self) -> int:
        """d_k."""
        return self.d_key or self.d_head

    def build(self, input_dim: int) -> Mamba2:
        """Build the model for inputs of `input_dim` features."""
        return Mamba2(input_dim, self)


class Mamba2(Stack):
    """A stack of blocks with Mamba-2's memory, behind one Dense layer with relu.

    State: n_layers · (n_heads · d_key · d_head + (conv_size − 1) · (2 d_key + n_heads · d_head)) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: Mamba2Settings):
        super().__init__(input_dim, settings, [Mamba2Mixer(settings) for _ in range(settings.n_layers)])
        self.act_by_kernels()


class Mamba2Mixer(Mixer):
    """What one layer does with time; the module's docstring has its equations.

    State: `memory`, S [B, H, d_k, d]; with a convolution `recent`, W_q h, W_k h and W_v h of the last steps, the newest
    first [B, W − 1, 2 d_k + H·d].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: Mamba2Settings):
        n_heads, d_head, d_key = settings.n_heads, settings.d_head, settings.key_width
        values = n_heads * d_head
        convolution = ShortConvolution(2 * d_key + values, settings.conv_size) if settings.conv_size else None
        recent = {} if convolution is None else {RECENT: convolution.state_shape}
        super().__init__({"memory": (n_heads, d_key, d_head), **recent})
        self.n_heads, self.convolution = n_heads, convolution
        self.conv_size, self.rotary = settings.conv_size, settings.rotary
        self._attend = partial(rotated, gated_linear_attention) if settings.rotary else gated_linear_attention
        self._qkv_sizes = [d_key, d_key, values]
        # W_q, W_k, W_v | W_g | W_Δ
        self._sizes = [2 * d_key + values, values, n_heads]
        self.project = orthogonal_linear(settings.d_model, d_key, d_key, values, values, n_heads, bias=False)
        self.step_bias = nn.Parameter(torch.full((n_heads,), math.log(math.expm1(1))))  # b: softplus(b) = 1
        self.decay_rate = nn.Parameter(-torch.log(slowest_first(n_heads, settings.max_timescale)))  # a
        self.skip = nn.Parameter(torch.ones(n_heads))  # D
        self.norm = nn.RMSNorm(values, eps=NORM_EPSILON)
        self.output = orthogonal_linear(values, settings.d_model, bias=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        features, gate, step = self.project(h).split(self._sizes, dim=-1)
        new_state = {}
        if self.convolution is not None:
            features, new_state[RECENT] = self.convolution(features, state[RECENT], is_first)
        query, key, value = nn.functional.silu(features).split(self._qkv_sizes, dim=-1)
        value = value.unflatten(-1, (self.n_heads, -1))
        step = self._step(step)
        attention, new_state["memory"] = self._attend(
            query.unsqueeze(-2),
            key.unsqueeze(-2),
            step * value,
            torch.exp(self._log_decay(step)),
            state["memory"],
            is_first,
        )
        attention = torch.addcmul(attention, self.skip.unsqueeze(-1), value)
        return self.output(self.norm(attention.flatten(-2) * nn.functional.silu(gate))), new_state

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        turn = turn_of_a_step(self.state_parts["memory"][1]) if self.rotary else ()
        return StepKernel("mamba2", (*self.state_parts["memory"], self.conv_size, self.rotary), turn)

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − α [B, T, H, 1]; see :meth:`Mixer.gates`."""
        *_, step = self.project(h).split(self._sizes, dim=-1)
        return {"1 − α": -torch.expm1(self._log_decay(self._step(step)))}

    def _step(self, projected: Tensor) -> Tensor:
        """Return Δ [B, T, H, 1]."""
        return nn.functional.softplus(projected + self.step_bias).unsqueeze(-1)

    def _log_decay(self, step: Tensor) -> Tensor:
        """Return log α [B, T, H, 1]."""
        return -step * torch.exp(self.decay_rate).unsqueeze(-1)
