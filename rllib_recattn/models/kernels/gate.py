"""The GRU gate by the kernels in gate.cpp."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.kernels.library import loaded


def gate(
    skip: Tensor, sublayer: Tensor, bias: Tensor, from_sublayer: Tensor, from_skip: Tensor, from_reset_skip: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute what :class:`rllib_recattn.models.parts.blocks.GRUGate` does.

    Args:
        skip: x [..., D].
        sublayer: y [..., D].
        bias: b [D].
        from_sublayer: W_r, W_z, W_g [3 D, D].
        from_skip: U_r, U_z [2 D, D].
        from_reset_skip: U_g [D, D].

    Returns:
        The outputs, and u, which has no gradient; both [..., D].
    """
    rows = (x.reshape(-1, x.shape[-1]).contiguous() for x in (skip, sublayer))
    weights = (w.contiguous() for w in (bias, from_sublayer, from_skip, from_reset_skip))
    output, gates = _Gate.apply(*rows, *weights)
    return output.view(skip.shape), update_of(gates).view(skip.shape)


def update_of(gates: Tensor) -> Tensor:
    """Return u of r, u and c behind one another [..., 3 D]."""
    return gates.chunk(3, dim=-1)[1]


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:
        output, gates, reset_skip = loaded().gate(*arguments)
        ctx.save_for_backward(*arguments, gates, reset_skip)
        ctx.mark_non_differentiable(gates)
        return output, gates

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        return tuple(loaded().gate_backward(grad.contiguous(), *ctx.saved_tensors))
