"""HGRN2, a gated linear recurrent network with an expanded state (arXiv 2404.07904, section 3).

Per head with keys of width d_k and values of width d, from the normalised input h of a step:

    f = lb + (1 − lb) ⊙ σ(W_f h)      i = W_i h
    S ← Diag(f) S + (1 − f) iᵀ        o = Sᵀ swish(W_q h) / √d_k

followed by W_o RMSNorm(o) over the concatenated heads. What a layer forgets is bounded from above: its lower bounds lb
are 0 in the first layer and grow with every layer, by a cumulative softmax of a learned parameter over the layers, so
that upper layers remember for longer.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.parts.stack import LinearAttentionSettings, Mixer, Stack

NORM_EPSILON = 1e-5


class HGRN2Settings(LinearAttentionSettings):
    """Settings of HGRN2; the sizes are those of the other stacked models."""

    d_key: int | None = Field(
        None,
        gt=0,
        description="width of a head's forget gates and queries, which the paper calls expand ratio; None: d_head",
    )

    def build(self, input_dim: int) -> HGRN2:
        """Build the model for inputs of `input_dim` features."""
        return HGRN2(input_dim, self)


class HGRN2(Stack):
    """A stack of blocks with HGRN2's recurrence, behind one Dense layer with relu.

    State: n_layers · n_heads · d_key · d_head numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: HGRN2Settings):
        mixers = [HGRN2Attention(settings, layer) for layer in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, conv_size=settings.conv_size)
        self.bound_logits = nn.Parameter(torch.zeros(settings.n_layers, settings.n_heads, mixers[0].d_key))
        self.act_by_kernels()

    def context(
        self, state: dict[str, Tensor], n_steps: int, is_first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the lower bounds of the forget gates of all layers [n_layers, n_heads, d_key], and no new state."""
        shares = self.bound_logits.softmax(dim=0)
        return shares.cumsum(dim=0) - shares[0], {}


class HGRN2Attention(Mixer):
    """The recurrence of one layer; the module's docstring has its equations.

    State: `memory`, S [B, H, d_k, d].

    Args:
        settings: Sizes and choices.
        layer: Which layer's lower bounds it has, from 0.
    """

    def __init__(self, settings: HGRN2Settings, layer: int):
        n_heads, d_head = settings.n_heads, settings.d_head
        d_key = settings.d_key or d_head
        super().__init__({"memory": (n_heads, d_key, d_head)})
        self.n_heads, self.d_key, self.layer, self.n_layers = n_heads, d_key, layer, settings.n_layers
        keys, values = n_heads * d_key, n_heads * d_head
        # W_q, W_f, W_i
        self._sizes = [keys, keys, values]
        self.project = orthogonal_linear(settings.d_model, *self._sizes, bias=False)
        self.norm = nn.RMSNorm(values, eps=NORM_EPSILON)
        self.output = orthogonal_linear(values, settings.d_model, bias=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps, with the lower bounds of all layers as the context; see :meth:`Mixer.forward`."""
        query, forget, value = (x.unflatten(-1, (self.n_heads, -1)) for x in self.project(h).split(self._sizes, dim=-1))
        key = self._forgotten(forget, context)
        query = nn.functional.silu(query) * self.d_key**-0.5
        attention, memory = gated_linear_attention(query, key, value, 1 - key, state["memory"], is_first)
        return self.output(self.norm(attention.flatten(-2))), {"memory": memory}

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        return StepKernel("hgrn2", (*self.state_parts["memory"], self.n_layers))

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Tensor) -> dict[str, Tensor]:
        """Return 1 − f [B, T, H, d_k]; see :meth:`Mixer.gates`."""
        _, forget, _ = self.project(h).split(self._sizes, dim=-1)
        return {"1 − f": self._forgotten(forget.unflatten(-1, (self.n_heads, -1)), context)}

    def _forgotten(self, forget: Tensor, context: Tensor) -> Tensor:
        """Return 1 − f; worked out first, near f = 1 it keeps the digits that subtracting f would lose."""
        return (1 - context[self.layer]) * torch.sigmoid(-forget)
