"""AGaLiTe, the approximate gated linear transformer (arXiv 2310.15719; TMLR 2024, section 4).

Per head of width d, with k, q, γ, v and β as in :mod:`rllib_recattn.models.parts.expanded_attention`, and for the
channels j = 1 … r with frequency ω_j, at time t:

    k̃_j ← (1 − γ) ⊙ k̃_j + cos(ω_j t) γ ⊙ k
    ṽ_j ← (1 − β) ⊙ ṽ_j + cos(ω_j t) β ⊙ v
    s   ← (1 − γ) ⊙ s   + γ ⊙ k
    a   = Σ_j ṽ_j (k̃_j · q) / (2 r (s · q) + ε)

followed by W_o over the concatenated heads. s obeys the recurrence of k̃ with a cosine of 1, so the two are kept as
r + 1 rows of one memory.

By default three things are added that GLA has and the published model has not: what each head reads is normalised and
gated, W_o [RMSNorm(a) ⊙ swish(W_g h)], and a short convolution stands in front; and one channel does not oscillate.
`docs/results.md` has what each of them is for. Without `head_norm`, `output_gate` and `conv_size`, and with
`frequencies: published` and `max_timescale: 2`, the model is the published one.

The paper and the authors' code differ in the channels: the paper has r + 1 of them, ω_j = 2πj/r with j = 0 … r, the
code r, ω = linspace(−π, π, r). `frequencies` chooses between the two and this package's own, which are all different,
and of which one has a first channel √½ as large as its cosine;
:meth:`rllib_recattn.models.parts.oscillation.Oscillation.of` says what becomes of each.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.attention import attend
from rllib_recattn.models.kernels.block import NativeBlock
from rllib_recattn.models.kernels.library import serve, serve_products
from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import Block, orthogonal_linear
from rllib_recattn.models.parts.counters import Counter
from rllib_recattn.models.parts.expanded_attention import ExpandedAttention
from rllib_recattn.models.parts.graphs import in_graph
from rllib_recattn.models.parts.key_memory import read_key_memory
from rllib_recattn.models.parts.mixed_precision import vecdot
from rllib_recattn.models.parts.oscillation import FrequencyChoice, Oscillation
from rllib_recattn.models.parts.scan import linear_recurrence
from rllib_recattn.models.parts.stack import CONV_SIZE, LinearAttentionSettings, Stack
from rllib_recattn.models.parts.timescales import spread_timescales

ATTENTION_EPSILON = 1e-5
NORM_EPSILON = 1e-5


class AGaLiTeSettings(LinearAttentionSettings):
    """Settings of AGaLiTe; the defaults are the size that the paper uses for 3D pixel worlds."""

    # Checkpoints from before there was a choice say nothing of these.
    unstated = MappingProxyType({"frequencies": "distinct", "conv_size": 0, "head_norm": False, "output_gate": False})

    eta: int = Field(4, gt=0, description="η, how many times d_head the keys of the memory are wide")
    r: int = Field(2, gt=0, description="number of oscillating channels")
    frequencies: FrequencyChoice = Field(
        "dct2",
        description='"dct2": r different channels, the first of which does not oscillate; "distinct": r that all do; '
        '"published": r, as the authors\' code has them; "paper": r + 1, as their paper has them',
    )
    max_timescale: float = Field(
        64.0,
        ge=2,
        description="steps over which the slowest memory gates forget at the start; 2: all biases zero, as published",
    )
    output_gain: float = Field(
        1.0,
        gt=0,
        description="how many times as large as published the weights behind the attention are at the start",
    )
    conv_size: int = Field(4, ge=0, description=f"{CONV_SIZE}, as published")
    head_norm: bool = Field(
        True, description="whether what each head reads is normalised (RMSNorm), as in GLA; as published: false"
    )
    output_gate: bool = Field(True, description="whether a step gates what is read, as in GLA; as published: false")

    def build(self, input_dim: int) -> AGaLiTe:
        """Build the model for inputs of `input_dim` features."""
        return AGaLiTe(input_dim, self)


class AGaLiTe(Stack):
    """A stack of blocks with AGaLiTe attention, behind one Dense layer with relu.

    State: n_layers · n_heads · d_head · ((r + 1) η + r) numbers and one clock for the whole stack; with the paper's
    frequencies r is larger by 1.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: AGaLiTeSettings):
        mixers = [self.new_attention(settings) for _ in range(settings.n_layers)]
        oscillation = Oscillation.of(settings.frequencies, settings.r)
        clock = Counter(oscillation.period - 1, "r", settings.r)
        super().__init__(input_dim, settings, mixers, counters={"clock": clock}, conv_size=settings.conv_size)
        self.oscillation = oscillation
        self._native_blocks = {}
        # What the kernels of blocks of a sequence know; that of the attention knows the attention of all blocks.
        further = settings.conv_size or settings.head_norm or settings.output_gate
        as_published = settings.residual == "gated" and settings.feedforward and not further
        if all(mixer.has_kernels for mixer in mixers) and as_published:
            self._native_blocks = {block: NativeBlock(block) for block in self.layers}
        self.act_by_kernels()

    def new_attention(self, settings: AGaLiTeSettings) -> AGaLiTeAttention:
        """Make the attention of a layer."""
        return AGaLiTeAttention(settings)

    def context(
        self, state: dict[str, Tensor], n_steps: int, is_first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return cos(ω_j t) of the next T steps with a 1 behind them [B, T, r + 1], and the clock after them."""
        clock = state["clock"]
        counts = self.oscillation.count(clock, n_steps, is_first)
        # A count of steps has no gradient.
        cosines = self.oscillation.cosines(counts.detach()).to(clock.dtype)
        channels = nn.functional.pad(cosines, (0, 1), value=1.0)
        return channels, {"clock": ((counts[:, -1:] + 1) % self.oscillation.period).to(clock.dtype)}

    def read_block(
        self, block: Block, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps with one of the blocks; see :meth:`Stack.read_block`."""
        native, bias = self._native_blocks.get(block), block.mixer.output.bias
        n_rows = x.shape[0] * x.shape[1]
        if native is None or not native.serves() or not serve_products(n_rows, x, state["keys"], bias):
            return super().read_block(block, x, state, is_first, context)
        y, keys, values = native(x, context.expand(x.shape[0], -1, -1), is_first, state["keys"], state["values"])
        return y, {"keys": keys, "values": values}


class AGaLiTeAttention(ExpandedAttention):
    """The attention of one layer; the module's docstring has its equations.

    State: `keys`, k̃_1 … k̃_r and s [B, H, r + 1, η·d]; `values`, ṽ_1 … ṽ_r [B, H, r, d].

    Args:
        settings: Sizes and choices.
    """

    has_kernels = True  # which compute the features, too: a subclass with others has none

    def __init__(self, settings: AGaLiTeSettings):
        n_heads, d_head = settings.n_heads, settings.d_head
        oscillation = Oscillation.of(settings.frequencies, settings.r)
        n_channels = len(oscillation.frequencies)
        parts = {"keys": (n_heads, n_channels + 1, settings.eta * d_head), "values": (n_heads, n_channels, d_head)}
        super().__init__(parts, settings, settings.eta)
        self.r, self.n_channels = settings.r, n_channels
        self.has_kernels = self.has_kernels and n_channels == settings.r  # by which they know r
        self.oscillation = oscillation
        # γ is a product of two sigmoids, of which only one has such biases: it starts at half of what they say.
        for bias in self.gate_biases():
            spread_timescales(bias, settings.max_timescale, n_heads)
        with torch.no_grad():
            self.output.weight *= settings.output_gain
        self.norm = nn.RMSNorm(d_head, eps=NORM_EPSILON) if settings.head_norm else None
        self.gate = orthogonal_linear(settings.d_model, n_heads * d_head) if settings.output_gate else None

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps, with cos(ω_j t) and 1 [B, T, r + 1] as the context; see :meth:`Mixer.forward`."""
        if self.has_kernels and serve(h, self.output.bias, state["keys"]):
            channels = context.expand(h.shape[0], -1, -1)
            attended, keys, values = attend(self.project(h), channels, is_first, state["keys"], state["values"])
            return self._output(attended, h), {"keys": keys, "values": values}
        key, query, gamma, value, beta = self.features(h)
        key_decay, value_decay = 1 - gamma, 1 - beta
        if is_first is not None:
            kept = ~is_first[:, :, None, None]
            key_decay, value_decay = key_decay * kept, value_decay * kept
        overlap, keys = read_key_memory(key_decay, key, query, context, state["keys"])
        writes = context[:, :, None, :-1, None] * value.unsqueeze(-2)
        values = linear_recurrence(value_decay.unsqueeze(-2), writes, state["values"])
        return self._output(self._read(overlap, values), h), {"keys": keys, "values": values[:, -1]}

    def step(self, h: Tensor, state: dict[str, Tensor], new_state: dict[str, Tensor], context: Tensor) -> Tensor:
        """Read one step; see :meth:`Mixer.step`."""
        key, query, gamma, value, beta = (feature.transpose(1, 2) for feature in self.features(h))
        channels = context.unsqueeze(-1)
        keys = _update(state["keys"], gamma, channels, key, new_state["keys"])
        values = _update(state["values"], beta, channels[:, :, :-1], value, new_state["values"])
        return self._output(self._read(vecdot(keys, query).unsqueeze(1), values.unsqueeze(1)), h)

    def step_kernel(self) -> StepKernel | None:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        if not self.has_kernels:
            return None
        n_channels, width = self.state_parts["keys"][1:]
        around = self.norm is not None, self.gate is not None
        sizes = (self.n_heads, self.d_head, width // self.d_head, n_channels, self.oscillation.period, *around)
        oscillation = self.oscillation
        return StepKernel("agalite", sizes, (*oscillation.frequencies, oscillation.offset, *oscillation.amplitudes))

    def _read(self, overlap: Tensor, values: Tensor) -> Tensor:
        """Return a of the heads [B, T, H·d], given k̃_j · q and s · q [B, T, H, r + 1], and ṽ_j [B, T, H, r, d]."""
        channels, normaliser = overlap.split([self.n_channels, 1], dim=-1)
        numerator = (values * channels.unsqueeze(-1)).sum(dim=-2)
        return (numerator / (2 * self.r * normaliser + ATTENTION_EPSILON)).flatten(-2)

    def _output(self, attended: Tensor, h: Tensor) -> Tensor:
        """Return the outputs [B, T, D], given a of the heads [B, T, H·d] and the inputs."""
        if self.norm is not None:
            attended = self.norm(attended.unflatten(-1, (self.n_heads, -1))).flatten(-2)
        if self.gate is not None:
            attended = attended * nn.functional.silu(self.gate(h))
        return self.output(attended)


def _update(memory: Tensor, gate: Tensor, channels: Tensor, write: Tensor, out: Tensor) -> Tensor:
    """Put memory − gate ⊙ memory + channels ⊗ write into `out`."""
    if in_graph():
        return out.copy_(torch.addcmul(memory, memory, gate, value=-1).addcmul(channels, write))
    return torch.addcmul(memory, memory, gate, value=-1, out=out).addcmul_(channels, write)
