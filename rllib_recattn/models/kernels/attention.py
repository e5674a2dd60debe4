"""AGaLiTe's attention between its projections, by the kernels in attention.cpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.kernels.library import loaded


def attend(
    projected: Tensor, channels: Tensor, is_first: Tensor | None, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Write T steps to AGaLiTe's memory, and read it after each.

    Args:
        projected: W_k h, W_q h, W_p1 h, W_p2 h, W_γ h, W_β h, W_p3 h and W_v h behind one another [B, T, P].
        channels: cos(ω_j t) and 1 [B, T, r + 1]; no gradient reaches them.
        is_first: [B, T] booleans, true where the memory is emptied before the step; or None.
        keys: k̃_1 … k̃_r and s before the first step [B, H, r + 1, η·d].
        values: ṽ_1 … ṽ_r before it [B, H, r, d].

    Returns:
        a of the heads behind one another [B, T, H·d], and the memories after the last step.
    """
    attended, keys, values = _Attention.apply(projected, channels, is_first, keys, values)
    return attended, keys, values


class _Attention(torch.autograd.Function):
    """The backward pass computes the memories of all steps again, those of one head and row at a time."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, channels: Tensor, is_first: Tensor | None, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        attended, keys_after, values_after, features = loaded().attention(projected, channels, is_first, keys, values)
        ctx.save_for_backward(features, channels, is_first, keys, values)
        return attended, keys_after, values_after

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_projected, grad_keys, grad_values = loaded().attention_backward(*grads, *ctx.saved_tensors)
        return grad_projected, None, None, grad_keys, grad_values
