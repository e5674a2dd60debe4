"""Linear layers whose matrix products go the fastest way that PyTorch has for them.

PyTorch hands float32 products on an x86 CPU to Intel's MKL, which does without AVX-512 on processors of other makers:
there oneDNN, which comes with PyTorch too and is what its LSTM runs on, multiplies the matrices of a train batch twice
as fast. A call costs it some 10 µs more, so the few rows of an acting step stay with MKL.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.models.parts.graphs import in_graph
from rllib_recattn.models.torch_internals import onednn_linear

# Multiplications in a product from which oneDNN is the faster one: 256 rows, 64 features in and out.
LARGE = 256 * 64 * 64

_ONEDNN = onednn_linear()


class Linear(nn.Linear):
    """PyTorch's Linear, with large float32 products on a CPU done by oneDNN, and outputs of the weight's dtype."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in_features] to [..., out_features]."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x Wᵀ + b, as :func:`torch.nn.functional.linear` does.

    Args:
        x: Inputs [..., N].
        weight: W [M, N].
        bias: b [M], or None.

    Returns:
        Outputs [..., M], of the weight's dtype. Their gradients can be taken once.
    """
    if not _suits_onednn(x, weight):
        y = nn.functional.linear(x, weight, bias)
        return y if y.dtype == weight.dtype else y.to(weight.dtype)
    y = _OneDNNLinear.apply(x.reshape(-1, x.shape[-1]), weight, bias)
    return y.unflatten(0, x.shape[:-1])


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute a bᵀ + bias for matrices a [K, N] and b [M, N], transposed or not, without gradients."""
    if not _suits_onednn(a, b):
        return nn.functional.linear(a, b, bias)
    return _onednn(a, b, bias)


def multiply_transposed(a: Tensor, b: Tensor) -> Tensor:
    """Compute aᵀ b for matrices a [K, M] and b [K, N], without gradients."""
    # oneDNN would rather not make many columns of few rows; a result that is transposed costs a copy later.
    return multiply(b.mT, a.mT).mT if a.shape[1] > 4 * b.shape[1] else multiply(a.mT, b.mT)


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        # Graphs that are exported consist of PyTorch's public operations, and hold for any number of rows.
        not in_graph()
        and x.numel() * len(weight) >= LARGE
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and _ONEDNN is not None
        and not torch.is_autocast_enabled("cpu")
    )


class _OneDNNLinear(torch.autograd.Function):
    """∂x = ∂y W, ∂W = ∂yᵀ x, ∂b = Σ ∂y, for matrices x and y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _onednn(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            _onednn(grad, weight.mT) if needs_x else None,
            multiply_transposed(grad, x) if needs_weight else None,
            grad.sum(0) if needs_bias and ctx.has_bias else None,
        )


def _onednn(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    assert _ONEDNN is not None
    return _ONEDNN(_dense(a), _dense(b), bias)


def _dense(x: Tensor) -> Tensor:
    """Return a matrix that oneDNN has kernels for: on parts of others it is a thousand times as slow."""
    return x if x.is_contiguous() or x.mT.is_contiguous() else x.contiguous()
