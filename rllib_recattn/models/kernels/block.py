"""A gated AGaLiTe block with a feed-forward part over whole sequences, by the kernels in block.cpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.models.kernels.gate import update_of
from rllib_recattn.models.kernels.library import loaded
from rllib_recattn.models.kernels.modules import Modules
from rllib_recattn.models.kernels.weights import Weights


class NativeBlock:
    """Reads sequences with the weights of a block.

    Args:
        block: A :class:`rllib_recattn.models.parts.blocks.Block`. Its weights may be replaced later; with
            other modules it is left to PyTorch.
    """

    def __init__(self, block: nn.Module):
        self._gates: tuple[Any, ...] = (block.mixer_gate, block.feedforward_gate)
        self._left_out = Modules(block)
        self._weights = Weights(block)

    def serves(self) -> bool:
        """Say whether weights and modules are where they were; kernels call none of these."""
        return self._weights.are_parameters() and self._left_out.may_be_left_out()

    def __call__(
        self, x: Tensor, channels: Tensor, is_first: Tensor | None, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read T steps.

        Args:
            x: Inputs [B, T, D].
            channels: cos(ω_j t) and 1 [B, T, r + 1]; no gradient reaches them.
            is_first: [B, T] booleans, true where the memory is emptied before the step; or None.
            keys: k̃_1 … k̃_r and s before the first step [B, H, r + 1, η·d].
            values: ṽ_1 … ṽ_r before it [B, H, r, d].

        Returns:
            The block's outputs [B, T, D], and the memories after the last step.
        """
        y, keys, values, *gates = _Block.apply(x, channels, is_first, keys, values, *self._weights.now())
        for module, each in zip(self._gates, gates, strict=True):
            module.note(update_of(each))
        return y, keys, values


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, channels: Tensor, is_first: Tensor | None, keys: Tensor, values: Tensor, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        *outputs, gates, hidden_gates, features, attended, rows = loaded().block(
            x, channels, is_first, keys, values, weights
        )
        kept = gates, hidden_gates, features, attended, rows
        ctx.save_for_backward(x, channels, is_first, keys, values, *weights, *kept)
        ctx.n_weights = len(weights)
        ctx.mark_non_differentiable(gates, hidden_gates)
        ctx.set_materialize_grads(False)
        return *outputs, gates, hidden_gates

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad: Tensor | None, grad_keys: Tensor | None, grad_values: Tensor | None, *_: None
    ) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        inputs, weights, kept = saved[:5], saved[5 : 5 + ctx.n_weights], saved[5 + ctx.n_weights :]
        of_x, of_keys, of_values, *of_weights = loaded().block_backward(
            grad, grad_keys, grad_values, *inputs, weights, *kept
        )
        return of_x, None, None, of_keys, of_values, *of_weights
