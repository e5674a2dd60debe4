"""GaLiTe, the gated linear transformer (arXiv 2310.15719; TMLR 2024, section 3): what AGaLiTe approximates.

Per head of width d, with the features of :mod:`rllib_recattn.models.parts.expanded_attention`:

    w = β ⊗ γ
    C ← (1 − w) ⊙ C + w ⊙ (v ⊗ k)
    s ← (1 − γ) ⊙ s + γ ⊙ k
    a = C q / (s · q + ε)

followed by W_o over the concatenated heads. C is exact where AGaLiTe keeps a few channels, and d times as large as a
key: a model for small widths.

Since w < γ, C fades more slowly than s, which divides it. When a key has not been written for long, what is read there
grows to 1/ε times what was written; the published ε of 1e-10 lets it reach 10⁸ when inputs are rare.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from rllib_recattn.models.parts.expanded_attention import ExpandedAttention
from rllib_recattn.models.parts.mixed_precision import vecdot
from rllib_recattn.models.parts.outer_product_memory import outer_product_memory
from rllib_recattn.models.parts.scan import linear_recurrence
from rllib_recattn.models.parts.stack import LinearAttentionSettings, Stack
from rllib_recattn.models.parts.timescales import spread_timescales


class GaLiTeSettings(LinearAttentionSettings):
    """Settings of GaLiTe; the defaults are AGaLiTe's size."""

    eta: int = Field(4, gt=0, description="η, how many times d_head the keys of the memory are wide")
    max_timescale: float = Field(
        64.0,
        ge=2,
        description="steps over which the slowest gates of the keys forget at the start; 2: zero biases, as published",
    )
    epsilon: float = Field(
        1e-2,
        gt=0,
        description="ε, which bounds what is read where a key has faded; as published: 1e-10",
    )

    def build(self, input_dim: int) -> GaLiTe:
        """Build the model for inputs of `input_dim` features."""
        return GaLiTe(input_dim, self)


class GaLiTe(Stack):
    """A stack of blocks with GaLiTe attention, behind one Dense layer without relu.

    State: n_layers · n_heads · η · d_head · (d_head + 1) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: GaLiTeSettings):
        mixers = [GaLiTeAttention(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, rectified=False, conv_size=settings.conv_size)


class GaLiTeAttention(ExpandedAttention):
    """The attention of one layer; the module's docstring has its equations.

    State: `memory`, C [B, H, d, η·d]; `keys`, s [B, H, η·d].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: GaLiTeSettings):
        n_heads, d_head, d_key = settings.n_heads, settings.d_head, settings.eta * settings.d_head
        super().__init__({"memory": (n_heads, d_head, d_key), "keys": (n_heads, d_key)}, settings, settings.eta)
        self.epsilon = settings.epsilon
        # A fade of w = β ⊗ γ is slower than either gate's: spread time scales for one of them are enough.
        spread_timescales(self.gate_biases()[0], settings.max_timescale, n_heads)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        key, query, gamma, value, beta = self.features(h)
        numerator, memory = outer_product_memory(beta, gamma, value, key, query, state["memory"], is_first)
        decay = 1 - gamma
        if is_first is not None:
            decay = decay * ~is_first[:, :, None, None]
        keys = linear_recurrence(decay, key, state["keys"])
        normaliser = vecdot(keys, query).unsqueeze(-1)
        attention = numerator / (normaliser + self.epsilon)
        return self.output(attention.flatten(-2)), {"memory": memory, "keys": keys[:, -1]}
