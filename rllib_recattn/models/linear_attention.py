"""The linear transformer: attention whose weights are products of positive features (arXiv 2006.16236, section 3).

Per head with keys of width d_k and values of width d, from the normalised input h of a step, with φ(x) = elu(x) + 1:

    q = φ(W_q h)      k = φ(W_k h)          v = W_v h
    S ← S + k vᵀ      z ← z + k             o = Sᵀ q / (z · q + ε)

followed by W_o over the concatenated heads. o is a mean of the values of all steps of the episode, weighted by how
much their keys are like the query: nothing is forgotten before the episode ends, and each step counts for less, the
more there are. In float32 sums lose what is 10⁷ times as small as they are, after as many steps.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from rllib_recattn.models.kernels.step import StepKernel
from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.gated_linear_attention import normalised_linear_attention
from rllib_recattn.models.parts.scan import linear_recurrence
from rllib_recattn.models.parts.stack import LinearAttentionSettings, Mixer, Stack

EPSILON = 1e-10


class LinearTransformerSettings(LinearAttentionSettings):
    """Settings of the linear transformer; the sizes are those of the other stacked models."""

    d_key: int | None = Field(None, gt=0, description="width of a head's keys and queries; None: d_head, as published")

    def build(self, input_dim: int) -> LinearTransformer:
        """Build the model for inputs of `input_dim` features."""
        return LinearTransformer(input_dim, self)


class LinearTransformer(Stack):
    """A stack of blocks with linear attention, behind one Dense layer with relu.

    State: n_layers · n_heads · d_key · (d_head + 1) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: LinearTransformerSettings):
        mixers = [LinearAttention(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, conv_size=settings.conv_size)
        self.act_by_kernels()


class LinearAttention(Mixer):
    """The attention of one layer; the module's docstring has its equations.

    State: `memory`, S [B, H, d_k, d]; `keys`, z [B, H, d_k].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: LinearTransformerSettings):
        n_heads, d_head = settings.n_heads, settings.d_head
        d_key = settings.d_key or d_head
        super().__init__({"memory": (n_heads, d_key, d_head), "keys": (n_heads, d_key)})
        self.n_heads = n_heads
        keys, values = n_heads * d_key, n_heads * d_head
        # W_q, W_k, W_v
        self._sizes = [keys, keys, values]
        self.project = orthogonal_linear(settings.d_model, *self._sizes)
        self.output = orthogonal_linear(values, settings.d_model)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        query, key, value = (x.unflatten(-1, (self.n_heads, -1)) for x in self.project(h).split(self._sizes, dim=-1))
        attention, memory, keys = linear_attention(
            _positive(query), _positive(key), value, state["memory"], state["keys"], is_first
        )
        return self.output(attention.flatten(-2)), {"memory": memory, "keys": keys}

    def step_kernel(self) -> StepKernel:
        """Name the kernel in C++; see :meth:`Mixer.step_kernel`."""
        return StepKernel("linear_attention", (self.n_heads, *self.state_parts["memory"][1:]))

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return k / z [B, T, H, d_k]: what is read under a feature is S / z, of which a step replaces that share."""
        _, key, _ = self.project(h).split(self._sizes, dim=-1)
        key = _positive(key.unflatten(-1, (self.n_heads, -1)))
        kept = key.new_ones(*key.shape[:2], 1, 1)
        if is_first is not None:
            kept = kept * ~is_first[:, :, None, None]
        return {"k / z": key / (linear_recurrence(kept, key, state["keys"]) + EPSILON)}


def linear_attention(
    query: Tensor, key: Tensor, value: Tensor, memory: Tensor, keys: Tensor, is_first: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Write T steps to the memory and read it after each.

    Args:
        query: q [B, T, H, K], positive.
        key: k [B, T, H, K], positive.
        value: v [B, T, H, V].
        memory: S before the first step [B, H, K, V].
        keys: z before the first step [B, H, K].
        is_first: [B, T] booleans, true where both are emptied before the step; or None.

    Returns:
        o [B, T, H, V], and S and z after the last step.
    """
    kept = value.new_ones(*value.shape[:2], 1, 1)
    read = normalised_linear_attention(query, key, value, kept, memory, keys, is_first)
    return read.values / (read.weights + EPSILON), read.memory, read.keys


def _positive(x: Tensor) -> Tensor:
    """Return elu(x) + 1, with the digits that adding the 1 would cost where x is negative."""
    return torch.relu(x) + torch.exp(x.clamp(max=0))
