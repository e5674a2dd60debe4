"""mLSTM, the xLSTM's memory of a matrix for each head, with exponential gates (arXiv 2405.04517, section 2.3).

Per head with keys of width d_k and values of width d, from the normalised input h of a step, with c = swish(conv(h)):

    q = W_q c      k = W_k c / √d_k      v = W_v h      i = w_i · h + b_i      f = σ(w_f · h + b_f)
    C ← f C + e^i k vᵀ                   n ← f n + e^i k                       o = Cᵀ q / (max(|n · q|, 1) + ε)

followed by W_o [LayerNorm(o) ⊙ σ(W_g h)], where the norm is each head's own with shared weights, and W_o reads the
concatenated heads. conv is a causal convolution of each feature over the last steps; the published block has it behind
a projection to twice the width. At the start all steps are written alike, as published.

e^i knows no bounds, so C and n are kept as multiples of e^m, with the largest exponent so far

    m ← max(log f + m, i)      C ← e^(log f + m' − m) C + e^(i − m) k vᵀ      o = Cᵀ q / (max(|n · q|, e^−m) + ε)

where m' is the m of before, 0 at first. No factor exceeds 1, and only the size of ε depends on m. A sequence is read in
chunks, like that of other gated outer products, once m is known of all of its steps.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.gated_linear_attention import normalised_linear_attention
from rllib_recattn.models.parts.linear import Linear
from rllib_recattn.models.parts.mixed_precision import without_autocast
from rllib_recattn.models.parts.recent_steps import RECENT
from rllib_recattn.models.parts.scan import running_maximum
from rllib_recattn.models.parts.short_convolution import ShortConvolution
from rllib_recattn.models.parts.stack import Mixer, MultiHeadSettings, Stack
from rllib_recattn.models.parts.timescales import slowest_first

EPSILON = 1e-6
NORM_EPSILON = 1e-5
LARGEST_EXPONENT = 80.0  # e^80 is near the largest number of float32


class MLSTMSettings(MultiHeadSettings):
    """Settings of mLSTM; the sizes are those of the other stacked models."""

    d_key: int | None = Field(None, gt=0, description="width of a head's keys and queries; None: d_head, as published")
    conv_size: int = Field(
        4, ge=0, description="steps of the causal convolution of what keys and queries read; 4 as published; 0: none"
    )
    max_timescale: float = Field(64.0, ge=2, description="steps over which the slowest head forgets at the start")

    def build(self, input_dim: int) -> MLSTM:
        """Build the model for inputs of `input_dim` features."""
        return MLSTM(input_dim, self)


class MLSTM(Stack):
    """A stack of blocks with mLSTM's memory, behind one Dense layer with relu.

    State: n_layers · (n_heads · (d_key · (d_head + 1) + 1) + (conv_size − 1) · d_model) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: MLSTMSettings):
        super().__init__(input_dim, settings, [MLSTMMixer(settings) for _ in range(settings.n_layers)])
        self.act_by_kernels()


class MLSTMMixer(Mixer):
    """What one layer does with time; the module's docstring has its equations.

    State: `memory`, C [B, H, d_k, d]; `keys`, n [B, H, d_k]; `exponent`, m [B, H]; with a convolution `recent`, h of
    the last steps, the newest first [B, W − 1, D].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: MLSTMSettings):
        n_heads, d_head = settings.n_heads, settings.d_head
        d_key = settings.d_key or d_head
        convolution = ShortConvolution(settings.d_model, settings.conv_size) if settings.conv_size else None
        recent = {} if convolution is None else {RECENT: convolution.state_shape}
        parts = {"memory": (n_heads, d_key, d_head), "keys": (n_heads, d_key), "exponent": (n_heads,)}
        super().__init__({**parts, **recent})
        self.n_heads, self.convolution, self.conv_size = n_heads, convolution, settings.conv_size
        keys, values = n_heads * d_key, n_heads * d_head
        self.project_keys = orthogonal_linear(settings.d_model, keys, keys, bias=False)  # W_q, W_k
        # W_v, W_g
        self._sizes = [values, values]
        self.project = orthogonal_linear(settings.d_model, *self._sizes, bias=False)
        self.gates_of = Linear(settings.d_model, 2 * n_heads)  # w_i, b_i, w_f, b_f of each head
        with torch.no_grad():
            self.gates_of.weight.zero_()
            self.gates_of.bias.zero_()[n_heads:] = torch.log(slowest_first(n_heads, settings.max_timescale) - 1)
        self.norm = nn.LayerNorm(d_head, eps=NORM_EPSILON, bias=False)
        self.output = orthogonal_linear(values, settings.d_model, bias=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        convolved, new_state = h, {}
        if self.convolution is not None:
            convolved, new_state[RECENT] = self.convolution(h, state[RECENT], is_first)
            convolved = nn.functional.silu(convolved)
        query, key = (x.unflatten(-1, (self.n_heads, -1)) for x in self.project_keys(convolved).chunk(2, dim=-1))
        value, gate = self.project(h).split(self._sizes, dim=-1)
        input_gate, forget_gate = self.gates_of(h).chunk(2, dim=-1)
        attention, new_state["memory"], new_state["keys"], new_state["exponent"] = exponential_memory(
            query,
            key,
            value.unflatten(-1, (self.n_heads, -1)),
            input_gate,
            forget_gate,
            state["memory"],
            state["keys"],
            state["exponent"],
            is_first,
        )
        return self.output(self.norm(attention).flatten(-2) * torch.sigmoid(gate)), new_state

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        d_model = self.output.out_features
        return StepKernel("mlstm", (*self.state_parts["memory"], d_model, self.conv_size))

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − f [B, T, H, 1]; see :meth:`Mixer.gates`."""
        _, forget = self.gates_of(h).chunk(2, dim=-1)
        return {"1 − f": torch.sigmoid(-forget).unsqueeze(-1)}


@without_autocast
def exponential_memory(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    input_gate: Tensor,
    forget_gate: Tensor,
    memory: Tensor,
    keys: Tensor,
    exponent: Tensor,
    is_first: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Write T steps to the memory and read it after each.

    Args:
        query: q [B, T, H, K].
        key: √K k [B, T, H, K].
        value: v [B, T, H, V].
        input_gate: i [B, T, H].
        forget_gate: What f is the σ of [B, T, H].
        memory: C before the first step [B, H, K, V], divided by e^m.
        keys: n likewise [B, H, K].
        exponent: m [B, H]; −∞ is fine where both are zero.
        is_first: [B, T] booleans, true where all three are zero before the step; or None.

    Returns:
        o [B, T, H, V], and C, n and m after the last step.
    """
    log_forget = nn.functional.logsigmoid(forget_gate)
    if is_first is None:
        exponents = running_maximum(log_forget, input_gate, exponent)
        before = torch.cat([exponent.unsqueeze(1), exponents[:, :-1]], dim=1)
    else:
        first = is_first.unsqueeze(-1)
        from_zero = torch.where(first, torch.maximum(log_forget, input_gate), input_gate)
        exponents = running_maximum(log_forget.masked_fill(first, -torch.inf), from_zero, exponent)
        before = torch.cat([exponent.unsqueeze(1), exponents[:, :-1]], dim=1).masked_fill(first, 0)
    kept = torch.exp(log_forget + before - exponents).unsqueeze(-1)
    written = torch.exp(input_gate - exponents).unsqueeze(-1) * key.shape[-1] ** -0.5
    read = normalised_linear_attention(query, written * key, value, kept, memory, keys, is_first)
    least = torch.exp((-exponents).clamp(max=LARGEST_EXPONENT)).unsqueeze(-1)
    output = read.values / (torch.maximum(read.weights.abs(), least) + EPSILON)
    return output, read.memory, read.keys, exponents[:, -1]
