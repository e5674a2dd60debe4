"""The GRU gate with the kernels in gate.cpp between its matrix products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.linear import multiply, multiply_transposed
from rllib_recattn.models.native.library import kernels


def gate(
    skip: Tensor, sublayer: Tensor, from_sublayer: Tensor, from_skip: Tensor, from_reset_skip: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute what :class:`rllib_recattn.models.blocks.GRUGate` does.

    Args:
        skip: x [..., D].
        sublayer: y [..., D].
        from_sublayer: W_r, W_z, W_g [3 D, D].
        from_skip: U_r, U_z [2 D, D].
        from_reset_skip: U_g [D, D].
        bias: b [D].

    Returns:
        The outputs, and u, which has no gradient; both [..., D].
    """
    rows = (x.reshape(-1, x.shape[-1]).contiguous() for x in (skip, sublayer))
    output, gates = _Gate.apply(*rows, from_sublayer, from_skip, from_reset_skip, bias)
    return output.view(skip.shape), gates[:, skip.shape[-1] :].view(skip.shape)


class _Gate(torch.autograd.Function):
    """With a for what tanh and the sigmoids are taken of: ∂a_g = ∂z ⊙ u (1 − c²), ∂a_z = ∂z ⊙ (c − x) u (1 − u),
    ∂(r ⊙ x) = ∂a_g U_g, ∂a_r = ∂(r ⊙ x) ⊙ x r (1 − r); and x gets ∂z ⊙ (1 − u) + ∂(r ⊙ x) ⊙ r + (∂a_r, ∂a_z) U.
    """

    @staticmethod
    def forward(
        ctx: Any, skip: Tensor, sublayer: Tensor, w_sublayer: Tensor, w_skip: Tensor, w_reset_skip: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        from_sublayer, gates = multiply(sublayer, w_sublayer), multiply(skip, w_skip)
        reset_skip = kernels().gate_reset(gates, from_sublayer, bias, skip)
        candidate = multiply(reset_skip, w_reset_skip)
        output = kernels().gate_output(candidate, from_sublayer, gates, skip)
        ctx.save_for_backward(skip, sublayer, w_sublayer, w_skip, w_reset_skip, gates, candidate, reset_skip)
        ctx.mark_non_differentiable(gates)
        return output, gates

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        skip, sublayer, w_sublayer, w_skip, w_reset_skip, gates, candidate, reset_skip = ctx.saved_tensors
        grad_from_sublayer, grad_skip, by_candidate = kernels().gate_output_backward(grad, candidate, gates, skip)
        grad_reset_skip = multiply(by_candidate, w_reset_skip.mT)
        by_gates = kernels().gate_reset_backward(grad_reset_skip, gates, skip, grad_from_sublayer, grad_skip)
        return (
            grad_skip.add_(multiply(by_gates, w_skip.mT)),
            multiply(grad_from_sublayer, w_sublayer.mT),
            multiply_transposed(grad_from_sublayer, sublayer),
            multiply_transposed(by_gates, skip),
            multiply_transposed(by_candidate, reset_skip),
            -by_gates[:, skip.shape[1] :].sum(0),
        )
