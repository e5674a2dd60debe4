"""sLSTM, the scalar memory of xLSTM (arXiv 2405.04517, section 2.2): an LSTM with exponential gates, in heads.

Per head of width K, from the normalised input h of a step and the head's own last output y:

    i, f, z, o = W h + R y + b
    m' = max(log σ(f) + m, i)      F = exp(log σ(f) + m − m')      I = exp(i − m')
    c ← F ⊙ c + I ⊙ tanh(z)        n ← F ⊙ n + I                   m ← m'                y ← σ(o) ⊙ c / n

followed by W_o RMSNorm(y), where the norm is each head's own with shared weights, in the place of the published group
norm. m keeps the exponentials at a size that numbers can have and cancels out of c / n. At an episode's first step,
where nothing is remembered, m' = i. R mixes what a head remembers, so the steps of a sequence are read one by one.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.mixed_precision import without_autocast
from rllib_recattn.models.parts.stack import LinearAttentionSettings, Mixer, Stack
from rllib_recattn.models.parts.timescales import keep_biases

NORM_EPSILON = 1e-5


class SLSTMSettings(LinearAttentionSettings):
    """Settings of sLSTM; the sizes are those of the other stacked models."""

    conv_size: int = Field(
        0,
        ge=0,
        description="steps of a causal convolution of each feature in front of the recurrence; published blocks have "
        "4 in front of two of the gates; 0: none",
    )
    max_timescale: float = Field(
        64.0, ge=2, description="steps over which the slowest features are forgotten at the start; 2: all biases zero"
    )

    def build(self, input_dim: int) -> SLSTM:
        """Build the model for inputs of `input_dim` features."""
        return SLSTM(input_dim, self)


class SLSTM(Stack):
    """A stack of blocks with sLSTM's recurrence, behind one Dense layer with relu.

    State: n_layers · (4 · n_heads · d_head + (conv_size − 1) · d_model) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: SLSTMSettings):
        mixers = [SLSTMRecurrence(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, conv_size=settings.conv_size)


class SLSTMRecurrence(Mixer):
    """The recurrence of one layer; the module's docstring has its equations.

    State: `y`, `c`, `n` and `m` [B, H, K] each.

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: SLSTMSettings):
        n_heads, d_head = settings.n_heads, settings.d_head
        super().__init__(dict.fromkeys("ycnm", (n_heads, d_head)))
        width = n_heads * d_head
        self.project = orthogonal_linear(settings.d_model, *[width] * 4)  # W and b: i, f, z, o
        with torch.no_grad():
            self.project.bias[width : 2 * width] = keep_biases(d_head, settings.max_timescale).repeat(n_heads)
        self.recurrent = nn.Parameter(torch.zeros(n_heads, d_head, 4, d_head))  # R, which starts at 0 as published
        self.norm = nn.RMSNorm(d_head, eps=NORM_EPSILON)
        self.output = orthogonal_linear(width, settings.d_model)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        y, _, new_state = slstm(self.project(h), self.recurrent, state, is_first)
        return self.output(self.norm(y).flatten(-2)), new_state

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − F [B, T, H, K]; see :meth:`Mixer.gates`."""
        _, kept, _ = slstm(self.project(h), self.recurrent, state, is_first)
        return {"1 − f": 1 - kept}


@without_autocast
def slstm(
    projected: Tensor, recurrent: Tensor, state: dict[str, Tensor], is_first: Tensor | None
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Read T steps, one by one.

    Args:
        projected: W h + b [B, T, 4·H·K], in the order i, f, z, o.
        recurrent: R [H, K, 4, K], from a head's output to its gates.
        state: y, c, n and m before the first step [B, H, K].
        is_first: [B, T] booleans, true where all of them are forgotten before the step; or None.

    Returns:
        y and F [B, T, H, K] of each step, and the state after the last one.
    """
    y, c, n, m = (state[part] for part in "ycnm")
    outputs, kept = [], []
    for t, step in enumerate(projected.unflatten(-1, (4, *y.shape[1:])).unbind(1)):
        if is_first is not None:
            first = is_first[:, t, None, None]
            y, c, n, m = (part.masked_fill(first, 0) for part in (y, c, n, m))
        i, f, z, o = (step + torch.einsum("bhk,hkgj->bghj", y, recurrent)).unbind(1)
        log_kept = nn.functional.logsigmoid(f) + m
        m = torch.where(n == 0, i, torch.maximum(log_kept, i))
        # Where nothing is remembered the exponent may be large: what it multiplies is 0.
        keep, write = torch.exp((log_kept - m).clamp(max=0)), torch.exp(i - m)
        c = keep * c + write * torch.tanh(z)
        n = keep * n + write
        y = torch.sigmoid(o) * c / n
        outputs.append(y)
        kept.append(keep)
    return torch.stack(outputs, dim=1), torch.stack(kept, dim=1), {"y": y, "c": c, "n": n, "m": m}
