"""GRU, the gated recurrent unit, PyTorch's own: a smaller LSTM, as a baseline.

For an input x and the h of the step before, with weights W for the input and U for h, both with biases:

    r, z = σ(W x + U h)      n = tanh(W_n x + r ⊙ U_n h)      h ← (1 − z) ⊙ n + z ⊙ h

Each layer reads the h of the layer below, and the last one's h is the output. Sources: Cho et al. (arXiv 1406.1078),
with PyTorch's place for r; Tallec & Ollivier (arXiv 1804.11188) for the biases of z with `max_timescale`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rllib_recattn.models.parts.mixed_precision import without_autocast
from rllib_recattn.models.parts.recurrent import (
    RecurrentNetwork,
    RecurrentSettings,
    start_with_biases,
    swap_batch_and_layers,
)
from rllib_recattn.models.parts.timescales import keep_biases


class GRUSettings(RecurrentSettings):
    """Settings of the GRU."""

    def build(self, input_dim: int) -> GRU:
        """Build the model for inputs of `input_dim` features."""
        return GRU(input_dim, self)


class GRU(RecurrentNetwork):
    """Gated recurrent unit. State: h, n_layers · d_model numbers.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes.
    """

    def __init__(self, input_dim: int, settings: GRUSettings):
        super().__init__(input_dim, settings, "h")
        self.network = nn.GRU(input_dim, settings.d_model, settings.n_layers, batch_first=True)
        if settings.max_timescale is not None:
            keep = keep_biases(settings.d_model, settings.max_timescale)
            zero = torch.zeros_like(keep)
            start_with_biases(self.network, torch.cat([zero, keep, zero]))  # r, z, n

    @without_autocast
    def run(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`RecurrentNetwork.run`."""
        y, h = self.network(x, swap_batch_and_layers(state["h"]))
        return y, {"h": swap_batch_and_layers(h)}
