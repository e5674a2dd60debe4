"""A short causal convolution over sequences, by the kernels in convolution_sequence.cpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.kernels.library import loaded


def convolve(h: Tensor, recent: Tensor, is_first: Tensor | None, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what :class:`rllib_recattn.models.parts.short_convolution.ShortConvolution` does.

    Args:
        h: Inputs [B, T, D].
        recent: Those of the W − 1 steps before the first [B, W − 1, D], the newest first, zero where there were none.
        is_first: [B, T] booleans, true where a step starts an episode; or None.
        weight: w_0 … w_{W−1} [W, D].

    Returns:
        Outputs [B, T, D], and the inputs before the next step, as `recent`. Their gradients can be taken once.
    """
    output, new_recent = _Convolution.apply(h, recent, is_first, weight)
    return output, new_recent


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor | None) -> tuple[Tensor, Tensor]:
        dense: list[Any] = [None if argument is None else argument.contiguous() for argument in arguments]
        ctx.save_for_backward(*dense)
        output, new_recent = loaded().convolution(*dense)
        return output, new_recent

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, grad_recent: Tensor) -> tuple[Tensor | None, ...]:
        of_h, of_recent, of_weight = loaded().convolution_backward(grad, grad_recent, *ctx.saved_tensors)
        return of_h, of_recent, None, of_weight
