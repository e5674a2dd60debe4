"""LSTM, long short-term memory, PyTorch's own: the recurrent network that most people run, as a baseline.

For an input x and the state of the step before, with weights W for the input and U for h, both with biases:

    i, f, o = σ(W x + U h)      g = tanh(W_g x + U_g h)      c ← f ⊙ c + i ⊙ g      h ← o ⊙ tanh(c)

Each layer reads the h of the layer below, and the last one's h is the output. With `max_timescale`, the biases of i
start as far below zero as those of f are above. Sources: Hochreiter & Schmidhuber (1997) with the forget gate of Gers
et al. (2000); Tallec & Ollivier (arXiv 1804.11188) for the biases.
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


class LSTMSettings(RecurrentSettings):
    """Settings of the LSTM."""

    def build(self, input_dim: int) -> LSTM:
        """Build the model for inputs of `input_dim` features."""
        return LSTM(input_dim, self)


class LSTM(RecurrentNetwork):
    """Long short-term memory. State: h and c, n_layers · d_model numbers each.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes.
    """

    def __init__(self, input_dim: int, settings: LSTMSettings):
        super().__init__(input_dim, settings, "h", "c")
        self.network = nn.LSTM(input_dim, settings.d_model, settings.n_layers, batch_first=True)
        if settings.max_timescale is not None:
            keep = keep_biases(settings.d_model, settings.max_timescale)
            zero = torch.zeros_like(keep)
            start_with_biases(self.network, torch.cat([-keep, keep, zero, zero]))  # i, f, g, o

    @without_autocast
    def run(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`RecurrentNetwork.run`."""
        y, (h, c) = self.network(x, (swap_batch_and_layers(state["h"]), swap_batch_and_layers(state["c"])))
        return y, {"h": swap_batch_and_layers(h), "c": swap_batch_and_layers(c)}
