"""Outer-product memories with decays, and those of the delta rule, over sequences; by outer_product_sequence.cpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.kernels.library import loaded


def remember(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, strength: Tensor | None, initial: Tensor
) -> tuple[Tensor, Tensor]:
    """Write T steps to memories S ← Diag(α) S + k uᵀ and read o = Sᵀ q after each.

    Args:
        query: q [B, T, H, K].
        key: k [B, T, H, K].
        value: v [B, T, H, V].
        decay: α [B, T, H, K], or [B, T, H, 1] for one of all of a head's features.
        strength: β [B, T, H] of the delta rule, by which u = β (v − (Diag(α) S)ᵀ k); None: u = v.
        initial: The memories before the first step [B, H, K, V].

    Returns:
        o [B, T, H, V] and the memories after the last step. Their gradients can be taken once.
    """
    output, memory = _Memory.apply(query, key, value, decay, strength, initial)
    return output, memory


class _Memory(torch.autograd.Function):
    """The backward pass computes the memories of all steps again, those of some steps of a head and row at a time."""

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor | None) -> tuple[Tensor, Tensor]:
        dense: list[Any] = [None if argument is None else argument.contiguous() for argument in arguments]
        ctx.save_for_backward(*dense)
        output, memory = loaded().outer_products(*dense)
        return output, memory

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        return loaded().outer_products_backward(grad, grad_memory, *ctx.saved_tensors)
