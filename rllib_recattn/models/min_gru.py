"""minGRU (arXiv 2410.01201, section 3.1): a GRU whose gates look at the input alone, so that it is a linear recurrence.

From the normalised input h of a step, for each feature:

    z = σ(W_z h + b)      s ← (1 − z) ⊙ s + z ⊙ g(W_h h)      g(x) = x + ½ where x ≥ 0, else σ(x)

followed by W_o s. What the recurrence cannot do is to let what is remembered decide on what is written. g is what the
paper's form in logarithms has in the place of tanh; here sequences are read without logarithms, which a z near 0 or 1
would take to infinity. The published block has a causal convolution of four steps in front.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.scan import linear_recurrence
from rllib_recattn.models.parts.stack import Mixer, Stack, StackSettings
from rllib_recattn.models.parts.timescales import spread_timescales


class MinGRUSettings(StackSettings):
    """Settings of minGRU; the sizes are those of the other stacked models."""

    d_state: int | None = Field(None, gt=0, description="features that a block remembers; None: d_model")
    conv_size: int = Field(
        4,
        ge=0,
        description="steps of a causal convolution of each feature in front of the recurrence; 4 as published; 0: none",
    )
    max_timescale: float = Field(
        64.0, ge=2, description="steps over which the slowest features are forgotten at the start; 2: all biases zero"
    )

    def build(self, input_dim: int) -> MinGRU:
        """Build the model for inputs of `input_dim` features."""
        return MinGRU(input_dim, self)


class MinGRU(Stack):
    """A stack of blocks with minGRU's recurrence, behind one Dense layer with relu.

    State: n_layers · (d_state + (conv_size − 1) · d_model) numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: MinGRUSettings):
        mixers = [MinGRURecurrence(settings) for _ in range(settings.n_layers)]
        super().__init__(input_dim, settings, mixers, conv_size=settings.conv_size)


class MinGRURecurrence(Mixer):
    """The recurrence of one layer; the module's docstring has its equations.

    State: `hidden`, s [B, N].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: MinGRUSettings):
        n_features = settings.d_state or settings.d_model
        super().__init__({"hidden": (n_features,)})
        self.project = orthogonal_linear(settings.d_model, n_features, n_features)  # W_z, W_h
        spread_timescales(self.project.bias[:n_features], settings.max_timescale, n_heads=1)
        self.output = orthogonal_linear(n_features, settings.d_model)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        forget, candidate = self.project(h).chunk(2, dim=-1)
        # 1 − σ(x) = σ(−x), which keeps the digits that subtracting would lose.
        decay, write = torch.sigmoid(-forget), torch.sigmoid(forget) * _positive(candidate)
        if is_first is not None:
            decay = decay * ~is_first.unsqueeze(-1)
        hidden = linear_recurrence(decay, write, state["hidden"])
        return self.output(hidden), {"hidden": hidden[:, -1]}

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: None) -> dict[str, Tensor]:
        """Return z [B, T, 1, N]; see :meth:`Mixer.gates`."""
        forget, _ = self.project(h).chunk(2, dim=-1)
        return {"z": torch.sigmoid(forget).unsqueeze(2)}


def _positive(x: Tensor) -> Tensor:
    """Return g(x); its slope goes on without a jump in the value at 0, where both sides are ½."""
    return torch.where(x >= 0, x + 0.5, nn.functional.sigmoid(x))
