"""RetNet, a network of retention: linear attention whose heads forget at fixed rates (arXiv 2307.08621, section 2).

Per head, counted h = 0, 1, …, with keys of width d_k and values of width d, from the normalised input x of a step:

    q = W_q x        k = W_k x        v = W_v x        γ = 1 − 2^(−5−h)
    S ← γ R(−θ) S + k vᵀ              o = Sᵀ q / √d_k

followed by W_o [LayerNorm(o) ⊙ swish(W_g x)], where the norm is each head's own and has no weights, and W_o reads the
concatenated heads. R is the rotation of :mod:`rllib_recattn.models.parts.rotation`, whose periods are shorter than the
published ones, 6 to 63,000 steps, of which the longest turn in no episode.
"""

from __future__ import annotations

from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.parts.rotation import RotarySettings, rotated, turn_of_a_step
from rllib_recattn.models.parts.stack import LinearAttentionSettings, Mixer, Stack

NORM_EPSILON = 1e-5


class RetNetSettings(RotarySettings, LinearAttentionSettings):
    """Settings of RetNet; the sizes are those of the other stacked models, the rest is as published."""

    d_key: int | None = Field(
        None, gt=0, description="width of a head's keys and queries; None: half of d_head, as published"
    )
    rotary: bool = Field(True, description=RotarySettings.model_fields["rotary"].description)

    @property
    def key_width(self) -> int:
        """d_k."""
        return self.d_key or max(1, self.d_head // 2)

    def build(self, input_dim: int) -> RetNet:
        """Build the model for inputs of `input_dim` features."""
        return RetNet(input_dim, self)


class RetNet(Stack):
    """A stack of blocks with retention, behind one Dense layer with relu.

    State: n_layers · n_heads · d_key · d_head numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: RetNetSettings):
        mixers = [Retention(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, conv_size=settings.conv_size)
        self.act_by_kernels()


class Retention(Mixer):
    """The retention of one layer; the module's docstring has its equations.

    State: `memory`, S [B, H, d_k, d].

    Args:
        settings: Sizes and choices.

    Attributes:
        decay: γ [H, 1].
    """

    decay: Tensor

    def __init__(self, settings: RetNetSettings):
        n_heads, d_head, d_key = settings.n_heads, settings.d_head, settings.key_width
        super().__init__({"memory": (n_heads, d_key, d_head)})
        self.n_heads, self.d_key = n_heads, d_key
        self.rotary = settings.rotary
        self._attend = partial(rotated, gated_linear_attention) if settings.rotary else gated_linear_attention
        keys, values = n_heads * d_key, n_heads * d_head
        # W_q, W_k, W_v, W_g
        self._sizes = [keys, keys, values, values]
        self.project = orthogonal_linear(settings.d_model, *self._sizes, bias=False)
        self.register_buffer("decay", retention_decays(n_heads).unsqueeze(-1), persistent=False)
        self.norm = nn.LayerNorm(d_head, eps=NORM_EPSILON, elementwise_affine=False)
        self.output = orthogonal_linear(values, settings.d_model, bias=False)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        *qkv, gate = self.project(h).split(self._sizes, dim=-1)
        query, key, value = (x.unflatten(-1, (self.n_heads, -1)) for x in qkv)
        retained, memory = self._attend(
            query * self.d_key**-0.5, key, value, self._decays(h), state["memory"], is_first
        )
        return self.output(self.norm(retained).flatten(-2) * nn.functional.silu(gate)), {"memory": memory}

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        sizes = (self.n_heads, self.d_key, self.norm.normalized_shape[0], self.rotary)
        return StepKernel("retnet", sizes, turn_of_a_step(self.d_key) if self.rotary else ())

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return 1 − γ [B, T, H, 1], at all steps the same; see :meth:`Mixer.gates`."""
        return {"1 − γ": 1 - self._decays(h)}

    def _decays(self, h: Tensor) -> Tensor:
        """Return γ [B, T, H, 1]."""
        return self.decay.expand(*h.shape[:2], -1, -1)


def retention_decays(n_heads: int) -> Tensor:
    """Return γ [H]: half is forgotten after about 22 steps by the first head, and after twice as many by each next."""
    return 1 - 2.0 ** -torch.arange(5, 5 + n_heads)
