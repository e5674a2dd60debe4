"""DeltaNet, Gated DeltaNet and KDA: the delta rule without a decay, with one for each head, with one for each feature.

Per head with keys of width d_k and values of width d, from the normalised input h of a step:

    q, k, v = swish(conv(W_q h, W_k h, W_v h))      q ← q / ‖q‖      k ← k / ‖k‖      β = σ(W_β h)
    S ← α S                                         S ← S + β k (v − Sᵀ k)ᵀ           o = Sᵀ q / √d_k

followed by W_o [RMSNorm(o) ⊙ swish(W_g h)], where the norm is each head's own with shared weights, and W_o reads the
concatenated heads. conv is a causal convolution of each feature over the last steps. The decay α is

    1                              DeltaNet (arXiv 2406.06484, section 3)
    exp(−e^a softplus(W_α h + b))  Gated DeltaNet (arXiv 2412.06464, section 3): a scalar for each head
    likewise, W_α = W_2 W_1        KDA (arXiv 2510.26692, section 3): for each feature of a head's keys

with a scalar a for each head. DeltaNet's published layer has no gate W_g, and KDA's is a sigmoid of low rank.
With `rotary`, which none of them has, keys and queries are rotated by the steps between them
(:mod:`rllib_recattn.models.parts.rotation`), and a decay by features is one for both features of a pair.
The memory writes a key over where a sum of outer products would add to it, and holds up to d_k of them apart.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.delta_rule import delta_rule
from rllib_recattn.models.parts.recent_steps import RECENT
from rllib_recattn.models.parts.rotation import RotarySettings, rotated, turn_of_a_step
from rllib_recattn.models.parts.short_convolution import ShortConvolution
from rllib_recattn.models.parts.stack import Mixer, MultiHeadSettings, Stack
from rllib_recattn.models.parts.timescales import slowest_first

NORM_EPSILON = 1e-5
LENGTH_EPSILON = 1e-6

Decay = Literal["none", "head", "feature"]


class DeltaNetSettings(RotarySettings, MultiHeadSettings):
    """Settings of DeltaNet; the sizes are those of the other stacked models."""

    d_key: int | None = Field(None, gt=0, description="width of a head's keys and queries; None: half of d_head")
    conv_size: int = Field(
        4,
        ge=0,
        description="steps of the causal convolution of queries, keys and values; 4 as published; 0: none",
    )
    decay: Decay = Field(
        "none",
        description='what is forgotten with each step: "none", nothing, as in DeltaNet; "head", a share of all that a '
        'head remembers, as in Gated DeltaNet; "feature", one for each feature of its keys, as in KDA',
    )
    max_timescale: float = Field(
        64.0, ge=2, description="steps over which the slowest decays forget at the start; without decays not used"
    )

    @property
    def key_width(self) -> int:
        """d_k."""
        return self.d_key or max(1, self.d_head // 2)

    def build(self, input_dim: int) -> DeltaNet:
        """Build the model for inputs of `input_dim` features."""
        return DeltaNet(input_dim, self)


class DeltaNet(Stack):
    """A stack of blocks with the delta rule, behind one Dense layer with relu.

    State: n_layers · n_heads · (d_key · d_head + (conv_size − 1) · (2 d_key + d_head)) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: DeltaNetSettings):
        super().__init__(input_dim, settings, [DeltaAttention(settings) for _ in range(settings.n_layers)])
        self.act_by_kernels()


class DeltaAttention(Mixer):
    """The attention of one layer; the module's docstring has its equations.

    State: `memory`, S [B, H, d_k, d]; with a convolution `recent`, W_q h, W_k h and W_v h of the last steps, the newest
    first [B, W − 1, H·(2 d_k + d)].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: DeltaNetSettings):
        n_heads, d_head, d_key = settings.n_heads, settings.d_head, settings.key_width
        keys, values = n_heads * d_key, n_heads * d_head
        convolution = ShortConvolution(2 * keys + values, settings.conv_size) if settings.conv_size else None
        recent = {} if convolution is None else {RECENT: convolution.state_shape}
        super().__init__({"memory": (n_heads, d_key, d_head), **recent})
        self.n_heads, self.d_key, self.convolution = n_heads, d_key, convolution
        self.conv_size, self.rotary = settings.conv_size, settings.rotary
        self._attend = partial(rotated, delta_rule) if settings.rotary else delta_rule
        self._qkv_sizes = [keys, keys, values]
        # W_α, or its W_1
        decays = {"none": 0, "head": n_heads, "feature": d_head}[settings.decay]
        # W_q, W_k, W_v | W_g | W_β | W_α
        self._sizes = [2 * keys + values, values, n_heads, decays]
        self.project = orthogonal_linear(settings.d_model, keys, keys, values, values, n_heads, decays, bias=False)
        by_feature = settings.decay == "feature"
        self.paired = by_feature and settings.rotary
        n_decays = (d_key // 2 if self.paired else d_key) if by_feature else 1  # of a head
        self.decay_features = orthogonal_linear(d_head, n_heads * n_decays, bias=False) if by_feature else None  # W_2
        self.decay_rate = nn.Parameter(torch.zeros(n_heads)) if decays else None  # a
        if decays:
            spread = slowest_first(n_decays if by_feature else n_heads, settings.max_timescale)
            bias = torch.log(torch.expm1(1 / spread))  # α = exp(−1/τ) where W_α h = 0
            self.decay_bias = nn.Parameter(bias.repeat(n_heads) if by_feature else bias)
        self.norm = nn.RMSNorm(d_head, eps=NORM_EPSILON)
        self.output = orthogonal_linear(values, settings.d_model, bias=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        features, gate, write, decay = self.project(h).split(self._sizes, dim=-1)
        new_state = {}
        if self.convolution is not None:
            features, new_state[RECENT] = self.convolution(features, state[RECENT], is_first)
        parts = nn.functional.silu(features).split(self._qkv_sizes, dim=-1)
        query, key, value = (part.unflatten(-1, (self.n_heads, -1)) for part in parts)
        attention, new_state["memory"] = self._attend(
            _of_length_one(query) * self.d_key**-0.5,
            _of_length_one(key),
            value,
            torch.sigmoid(write),
            torch.exp(self._log_decay(decay)),
            state["memory"],
            is_first,
        )
        return self.output(self.norm(attention).flatten(-2) * nn.functional.silu(gate)), new_state

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        n_decays = 0 if self.decay_rate is None else len(self.decay_bias)
        kind = 0 if n_decays == 0 else 1 if self.decay_features is None else 3 if self.paired else 2
        sizes = (*self.state_parts["memory"], self.conv_size, self.rotary, n_decays, kind)
        return StepKernel("delta_net", sizes, turn_of_a_step(self.d_key) if self.rotary else ())

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return β [B, T, H, 1], of what is kept under a step's key, and 1 − α [B, T, H, 1 or d_k], of all."""
        *_, write, decay = self.project(h).split(self._sizes, dim=-1)
        gates = {"β": torch.sigmoid(write).unsqueeze(-1)}
        if self.decay_rate is not None:
            gates["1 − α"] = -torch.expm1(self._log_decay(decay))
        return gates

    def _log_decay(self, projected: Tensor) -> Tensor:
        """Return log α [B, T, H, 1 or d_k]."""
        if self.decay_rate is None:
            return projected.new_zeros(*projected.shape[:2], self.n_heads, 1)
        if self.decay_features is not None:
            projected = self.decay_features(projected)
        speed = nn.functional.softplus(projected + self.decay_bias).unflatten(-1, (self.n_heads, -1))
        logs = -torch.exp(self.decay_rate).unsqueeze(-1) * speed
        return torch.cat([logs, logs], dim=-1) if self.paired else logs


def _of_length_one(x: Tensor) -> Tensor:
    """Return x / ‖x‖ over the last dimension; near 0 shorter."""
    return x * torch.rsqrt(x.square().sum(dim=-1, keepdim=True) + LENGTH_EPSILON)
