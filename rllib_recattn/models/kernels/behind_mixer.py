"""What stands behind the mixer of a gated block with a feed-forward part, by the kernels in behind_mixer.cpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.models.kernels.gate import update_of
from rllib_recattn.models.kernels.library import loaded
from rllib_recattn.models.kernels.modules import Modules
from rllib_recattn.models.kernels.weights import Weights


class NativeBehindMixer:
    """Computes z = gate₂(y, relu(feed-forward(y))) of y = gate₁(x, relu(what the mixer says)).

    Args:
        gate: The first :class:`rllib_recattn.models.parts.blocks.GRUGate`. Weights of all three may be replaced later;
            with other modules it is left to PyTorch.
        feedforward: The feed-forward part, with its LayerNorm.
        feedforward_gate: The second gate.
    """

    def __init__(self, gate: nn.Module, feedforward: nn.Module, feedforward_gate: nn.Module):
        self._parts: tuple[Any, ...] = gate, feedforward, feedforward_gate
        self._left_out = Modules(*self._parts)
        self._weights = Weights(*self._parts)

    def serves(self, *parts: nn.Module | None) -> bool:
        """Say whether the three are what they were, weights and modules; kernels call none of these."""
        # Modules are equal to themselves alone.
        return parts == self._parts and self._weights.are_parameters() and self._left_out.may_be_left_out()

    def __call__(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Return z for the block's input x and what its mixer says; all of them [..., D]."""
        rows = (each.reshape(-1, x.shape[-1]).contiguous() for each in (x, mixed))
        z, *gates = _BehindMixer.apply(*rows, *self._weights.now())
        for gate, each in zip(self._parts[::2], gates, strict=True):
            gate.note(update_of(each).view(x.shape))
        return z.view(x.shape)


class _BehindMixer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mixed: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        dense = [weight.contiguous() for weight in weights]
        z, *kept = loaded().behind_mixer(x, mixed, dense)
        ctx.save_for_backward(x, *dense, *kept)
        ctx.mark_non_differentiable(*kept[:2])
        return z, *kept[:2]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor, ...]:
        x, *weights, gates, hidden_gates, buffer = ctx.saved_tensors
        return tuple(loaded().behind_mixer_backward(grad.contiguous(), x, weights, gates, hidden_gates, buffer))
