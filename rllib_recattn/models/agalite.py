"""AGaLiTe, the approximate gated linear transformer (arXiv 2310.15719; TMLR 2024, section 4).

Per head of width d, from the normalised input h of a step, with expand(a, p) = vec(p ⊗ a) of η·d entries:

    k = expand(relu(W_k h), relu(W_p1 h))      q = expand(relu(W_q h), relu(W_p2 h))      v = W_v h
    γ = expand(σ(W_γ h), σ(W_p3 h))            β = σ(W_β h)

For the channels j = 1 … r with frequency ω_j, at time t:

    k̃_j ← (1 − γ) ⊙ k̃_j + cos(ω_j t) γ ⊙ k
    ṽ_j ← (1 − β) ⊙ ṽ_j + cos(ω_j t) β ⊙ v
    s   ← (1 − γ) ⊙ s   + γ ⊙ k
    a   = Σ_j ṽ_j (k̃_j · q) / (2 r (s · q) + ε)

followed by W_o over the concatenated heads. s obeys the recurrence of k̃ with a cosine of 1, so the two are kept as
r + 1 rows of one memory.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.blocks import orthogonal_linear
from rllib_recattn.models.oscillation import FrequencyChoice, Oscillation
from rllib_recattn.models.scan import linear_recurrence
from rllib_recattn.models.stack import Mixer, Stack, StackSettings

ATTENTION_EPSILON = 1e-5


class AGaLiTeSettings(StackSettings):
    """Settings of AGaLiTe; the defaults are the size that the paper uses for 3D pixel worlds."""

    eta: int = Field(4, gt=0, description="η, how many times d_head the keys of the memory are wide")
    r: int = Field(2, gt=0, description="number of oscillating channels")
    frequencies: FrequencyChoice = Field(
        "distinct",
        description='"distinct": r different channels; "published": as the authors\' code has them',
    )
    max_timescale: float = Field(
        64.0,
        ge=2,
        description="steps over which the slowest memory gates forget at the start; 2: all biases zero, as published",
    )

    def build(self, input_dim: int) -> AGaLiTe:
        """Build the model for inputs of `input_dim` features."""
        return AGaLiTe(input_dim, self)


class AGaLiTe(Stack):
    """A stack of blocks with AGaLiTe attention, behind one Dense layer with relu.

    State: n_layers · n_heads · d_head · ((r + 1) η + r) numbers and one clock for the whole stack.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: AGaLiTeSettings):
        mixers = [AGaLiTeAttention(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, shared_parts={"clock": (1,)})
        self.oscillation = Oscillation.of(settings.frequencies, settings.r)

    def context(
        self, state: dict[str, Tensor], n_steps: int, is_first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return cos(ω_j t) [B, T, r] of the next T steps, and the clock after them."""
        counts = self.oscillation.count(state["clock"], n_steps, is_first)
        return self.oscillation.cosines(counts), {"clock": (counts[:, -1:] + 1) % self.oscillation.period}


class AGaLiTeAttention(Mixer):
    """The attention of one layer; the module's docstring has its equations.

    State: `keys`, k̃_1 … k̃_r and s [B, H, r + 1, η·d]; `values`, ṽ_1 … ṽ_r [B, H, r, d].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: AGaLiTeSettings):
        n_heads, d_head, r = settings.n_heads, settings.d_head, settings.r
        super().__init__({"keys": (n_heads, r + 1, settings.eta * d_head), "values": (n_heads, r, d_head)})
        self.n_heads, self.d_head, self.r = n_heads, d_head, r
        width, expansion = n_heads * d_head, n_heads * settings.eta
        # W_k, W_q, W_p1, W_p2 (relu) | W_γ, W_β, W_p3 (σ) | W_v: grouped by what is applied to them.
        self._relu_sizes = [width, width, expansion, expansion]
        self._sigmoid_sizes = [width, width, expansion]
        sizes = [*self._relu_sizes, *self._sigmoid_sizes, width]
        self._group_sizes = [sum(self._relu_sizes), sum(self._sigmoid_sizes), width]
        self.project = orthogonal_linear(settings.d_model, *sizes)
        self.output = orthogonal_linear(width, settings.d_model)
        self._spread_timescales(sizes, settings.max_timescale)

    def _spread_timescales(self, sizes: list[int], max_timescale: float) -> None:
        """Start with memories of many time scales: "chrono" initialisation (Tallec & Ollivier, 2018, arXiv 1804.11188).

        With zero biases β is ½, and what ṽ holds halves with every step: no gradient comes back from twenty steps
        ago. A bias of −log(τ − 1) makes a gate's sigmoid 1/τ; τ goes from 2, where the bias is 0, to `max_timescale`.
        γ, a product of two sigmoids of which only one has such biases, starts at half of that.
        """
        exponents = torch.linspace(0, 1, self.d_head).repeat(self.n_heads)
        timescales = 2 * (max_timescale / 2) ** exponents
        _, _, _, _, gamma, beta, _, _ = self.project.bias.split(sizes)
        with torch.no_grad():
            gamma.copy_(-torch.log(timescales - 1))
            beta.copy_(-torch.log(timescales - 1))

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps, with cos(ω_j t) [B, T, r] as the context; see :meth:`Mixer.forward`."""
        rectified, gates, value = self.project(h).split(self._group_sizes, dim=-1)
        key, query, key_factor, query_factor = self._heads(torch.relu(rectified).split(self._relu_sizes, dim=-1))
        gamma, beta, gamma_factor = self._heads(torch.sigmoid(gates).split(self._sigmoid_sizes, dim=-1))
        (value,) = self._heads((value,))
        key, query, gamma = (
            _expand(key, key_factor),
            _expand(query, query_factor),
            _expand(gamma, gamma_factor),
        )

        channels = context[:, :, None, :, None]
        channels_and_one = nn.functional.pad(channels, (0, 0, 0, 1), value=1.0)
        keys_t = _remember(state["keys"], gamma, key, channels_and_one, is_first)
        values_t = _remember(state["values"], beta, value, channels, is_first)

        # k̃_j · q, and s · q in the last row: [B, T, H, r + 1, 1]. As a batch of matrix products it is 8 times slower.
        overlap = torch.linalg.vecdot(keys_t, query.unsqueeze(-2)).unsqueeze(-1)
        numerator = (values_t * overlap[..., :-1, :]).sum(dim=-2)
        attention = numerator / (2 * self.r * overlap[..., -1, :] + ATTENTION_EPSILON)
        return self.output(attention.flatten(-2)), {"keys": keys_t[:, -1], "values": values_t[:, -1]}

    def _heads(self, projections: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(projection.unflatten(-1, (self.n_heads, -1)) for projection in projections)


def _expand(a: Tensor, p: Tensor) -> Tensor:
    return (p.unsqueeze(-1) * a.unsqueeze(-2)).flatten(-2)


def _remember(memory: Tensor, gate: Tensor, write: Tensor, channels: Tensor, is_first: Tensor | None) -> Tensor:
    """Return the memory after each step: m_t = (1 − gate) ⊙ m_{t−1} + channel · gate ⊙ write, per channel."""
    decay = (1 - gate).unsqueeze(-2)
    if is_first is not None:
        decay = decay * ~is_first[:, :, None, None, None]
    return linear_recurrence(decay, channels * (gate * write).unsqueeze(-2), memory)
