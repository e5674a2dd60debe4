"""Feed-forward blocks: what is left of the stacked models' blocks where nothing mixes the steps of a sequence.

    gated: z = gate(y, relu(W₂ relu(W₁ LayerNorm y)))      sum: z = y + W₂ relu(W₁ LayerNorm y)

so that between a model of the catalog and one made of these the memory is what differs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import BlockSettings, GRUGate, feedforward_part, join, orthogonal_linear


class FeedForwardNetwork(nn.Module):
    """A Dense layer with relu, and feed-forward blocks; each step is read by itself.

    Args:
        n_inputs: Features of a step.
        settings: Sizes and the kind of blocks.
    """

    def __init__(self, n_inputs: int, settings: BlockSettings):
        super().__init__()
        self.embedding = orthogonal_linear(n_inputs, settings.d_model)
        self.layers = nn.ModuleList(_Block(settings) for _ in range(settings.n_layers))
        # A sum of many sublayers has no fixed scale; a gate keeps that of its inputs.
        self.output_norm = nn.LayerNorm(settings.d_model) if settings.residual == "sum" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, T, n_inputs] to [B, T, D]."""
        y = torch.relu(self.embedding(x))
        for layer in self.layers:
            y = layer(y)
        return self.output_norm(y)


class _Block(nn.Module):
    def __init__(self, settings: BlockSettings):
        super().__init__()
        d_model = settings.d_model
        self.feedforward = feedforward_part(d_model, settings.d_ff or d_model)
        self.feedforward_gate = GRUGate(d_model, settings.gate_bias) if settings.residual == "gated" else None

    def forward(self, y: Tensor) -> Tensor:
        return join(self.feedforward_gate, y, self.feedforward(y))
