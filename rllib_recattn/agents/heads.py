"""RLlib's heads in plain PyTorch: from a model's features to logits or to a value.

Shape suffixes: B rows, D features, L logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rllib_recattn.agents.description import HeadSettings
from rllib_recattn.agents.shortcut import Shortcut
from rllib_recattn.inputs.images import ACTIVATIONS

_EPSILON = 0.001  # of the normalisation in RLlib's layers


class Head(nn.Module):
    """An MLP over features [B, D], laid out as RLlib's ``TorchMLPHead`` and ``TorchFreeLogStdMLPHead``.

    Args:
        input_dim: D.
        output_dim: L.
        settings: Its layers. Only a policy's head may have free or limited log standard deviations.
    """

    def __init__(self, input_dim: int, output_dim: int, settings: HeadSettings):
        super().__init__()
        self.limit = settings.log_std_limit
        # RLlib makes this of Boxes only, whose logits are means and log standard deviations.
        free = output_dim // 2 if settings.free_log_std else 0
        self.log_std = nn.Parameter(torch.zeros(free)) if free else None
        sizes = [input_dim, *settings.widths]
        self.layers = nn.Sequential()
        for before, width in zip(sizes, settings.widths, strict=False):
            self.layers.append(nn.Linear(before, width))
            if settings.layer_norm:
                self.layers.append(nn.LayerNorm(width, eps=_EPSILON))
            if settings.activation != "linear":
                self.layers.append(ACTIVATIONS[settings.activation]())
        self.layers.append(nn.Linear(sizes[-1], output_dim - free))
        self._outputs = Shortcut.of(self.layers, self.layers, self.layers.__call__)

    def forward(self, x: Tensor) -> Tensor:
        """Map features [B, D] to [B, L]."""
        y = self._outputs(x)
        if self.log_std is not None:
            mean, log_std = y, self.log_std.expand_as(y)
        elif self.limit is not None:
            mean, log_std = y.chunk(2, dim=-1)
        else:
            return y
        if self.limit is not None:
            log_std = log_std.clamp(-self.limit, self.limit)
        return torch.cat([mean, log_std], dim=-1)
