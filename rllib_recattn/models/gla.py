"""GLA, gated linear attention (arXiv 2312.06635, section 4).

Per head with keys of width d_k and values of width d, from the normalised input h of a step:

    q = W_q h        k = W_k h        v = W_v h        α = σ(W_2 W_1 h + b)^(1/τ)
    S ← Diag(α) S + k vᵀ              o = Sᵀ q / √d_k

followed by W_o [RMSNorm(o) ⊙ swish(W_g h)], where the norm is each head's own with shared weights, and W_o reads the
concatenated heads. W_1 has few rows, so that the d_k decays of each head cost few weights.

By default a short convolution stands in front, an option of the published layer: with it the model learns much
sooner to count steps back (docs/results.md). With `rotary` keys and queries are rotated by the steps between them, as
in :mod:`rllib_recattn.models.parts.rotation`, and both features of a pair have one decay; the published model has
neither.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.parts.rotation import RotarySettings, rotated, turn_of_a_step
from rllib_recattn.models.parts.stack import CONV_SIZE, LinearAttentionSettings, Mixer, Stack

NORM_EPSILON = 1e-5


class GLASettings(RotarySettings, LinearAttentionSettings):
    """Settings of GLA; the sizes are those of the other stacked models, the rest but the convolution as published."""

    unstated = MappingProxyType({"conv_size": 0})

    conv_size: int = Field(4, ge=0, description=CONV_SIZE)

    d_key: int | None = Field(
        None, gt=0, description="width of a head's keys and queries; None: half of d_head, as published"
    )
    gate_rank: int = Field(16, gt=0, description="rank of the projection that makes the decays")
    gate_temperature: float = Field(
        16.0, gt=0, description="τ; a decay is σ(…)^(1/τ), so the larger, the longer is remembered"
    )

    @property
    def key_width(self) -> int:
        """d_k."""
        return self.d_key or max(1, self.d_head // 2)

    def build(self, input_dim: int) -> GLA:
        """Build the model for inputs of `input_dim` features."""
        return GLA(input_dim, self)


class GLA(Stack):
    """A stack of blocks with gated linear attention, behind one Dense layer with relu.

    State: n_layers · n_heads · d_key · d_head numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: GLASettings):
        mixers = [GLAAttention(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, conv_size=settings.conv_size)
        self.act_by_kernels()


class GLAAttention(Mixer):
    """The attention of one layer; the module's docstring has its equations.

    State: `memory`, S [B, H, d_k, d].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: GLASettings):
        n_heads, d_head, d_key = settings.n_heads, settings.d_head, settings.key_width
        super().__init__({"memory": (n_heads, d_key, d_head)})
        self.n_heads, self.d_key, self.temperature = n_heads, d_key, settings.gate_temperature
        self.rotary = settings.rotary
        self._attend = partial(rotated, gated_linear_attention) if settings.rotary else gated_linear_attention
        keys, values = n_heads * d_key, n_heads * d_head
        # W_q, W_k, W_v, W_g, W_1
        self._sizes = [keys, keys, values, values, settings.gate_rank]
        self.project = orthogonal_linear(settings.d_model, *self._sizes, bias=False)
        self.decay = orthogonal_linear(settings.gate_rank, keys // 2 if settings.rotary else keys)
        self.norm = nn.RMSNorm(d_head, eps=NORM_EPSILON)
        self.output = orthogonal_linear(values, settings.d_model, bias=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        query, key, value, gate, low_rank = self.project(h).split(self._sizes, dim=-1)
        query, key, value = (x.unflatten(-1, (self.n_heads, -1)) for x in (query, key, value))
        decay = torch.exp(self._log_decay(low_rank))
        attention, memory = self._attend(query * self.d_key**-0.5, key, value, decay, state["memory"], is_first)
        return self.output(self.norm(attention).flatten(-2) * nn.functional.silu(gate)), {"memory": memory}

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        d_head = self.norm.normalized_shape[0]
        sizes = (self.n_heads, self.d_key, d_head, self.decay.in_features, self.rotary)
        return StepKernel("gla", sizes, (self.temperature, *(turn_of_a_step(self.d_key) if self.rotary else ())))

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − α [B, T, H, d_k]; see :meth:`Mixer.gates`."""
        *_, low_rank = self.project(h).split(self._sizes, dim=-1)
        return {"1 − α": -torch.expm1(self._log_decay(low_rank))}

    def _log_decay(self, low_rank: Tensor) -> Tensor:
        """Return log α [B, T, H, d_k]."""
        logs = (nn.functional.logsigmoid(self.decay(low_rank)) / self.temperature).unflatten(-1, (self.n_heads, -1))
        return torch.cat([logs, logs], dim=-1) if self.rotary else logs
