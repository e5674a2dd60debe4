"""The gated outer-product memory of GaLiTe over whole sequences, in little space.

    C_t = (1 − β_t ⊗ γ_t) ⊙ C_{t−1} + u_t ⊗ z_t          r_t = C_t q_t

The gate is an outer product, and 1 − β ⊗ γ is not one: no product of the past gates splits into a part of the writing
and a part of the reading step, so the chunkwise-parallel form of gated linear attention does not exist here, and the
memory has to be walked through step by step. It is d times as large as what a step reads from it, so keeping it for
every step, as automatic differentiation would, is out of the question.

Shapes: B rows, T steps, H heads, V = d features of a value, K = η·d features of a key.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.parts.graphs import in_graph
from rllib_recattn.models.parts.mixed_precision import without_autocast


@without_autocast
def outer_product_memory(
    value_gate: Tensor,
    key_gate: Tensor,
    value: Tensor,
    key: Tensor,
    query: Tensor,
    initial: Tensor,
    is_first: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Write T outer products into a gated memory, and read it after each of them.

    Over a sequence the backward pass recomputes the memory from every √T-th step on, so that about 2√T memories are
    alive instead of several for each of T steps.

    Args:
        value_gate: β [B, T, H, V], in [0, 1].
        key_gate: γ [B, T, H, K], in [0, 1].
        value: u, what is written [B, T, H, V], already gated.
        key: z, where it is written [B, T, H, K], already gated.
        query: q [B, T, H, K].
        initial: C_0 [B, H, V, K].
        is_first: [B, T] booleans, true where the memory is emptied before the step; or None.

    Returns:
        What is read, r_1 … r_T [B, T, H, V], and C_T, the memory after the last step [B, H, V, K].
    """
    if value.shape[1] == 1:
        return _one_step(value_gate, key_gate, value, key, query, initial, is_first)
    if in_graph():
        return _step_by_step((value_gate, key_gate, value, key, query), initial, is_first)
    return _Sequence.apply(value_gate, key_gate, value, key, query, initial, is_first)


def _step_by_step(operands: tuple[Tensor, ...], memory: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
    """Implement :func:`outer_product_memory`, for β, γ, u, z and q, and leave the gradients to PyTorch."""
    reads = []
    for t, step in enumerate(zip(*(x.split(1, dim=1) for x in operands), strict=True)):
        value_gate, key_gate, value, key, query = step
        first = None if is_first is None else is_first[:, t : t + 1]
        read, memory = _one_step(value_gate, key_gate, value, key, query, memory, first)
        reads.append(read)
    return torch.cat(reads, dim=1), memory


def _one_step(
    value_gate: Tensor,
    key_gate: Tensor,
    value: Tensor,
    key: Tensor,
    query: Tensor,
    memory: Tensor,
    is_first: Tensor | None,
) -> tuple[Tensor, Tensor]:
    if is_first is not None:
        memory = memory.masked_fill(is_first[:, 0, None, None, None], 0)
    gate = value_gate[:, 0, :, :, None] * key_gate[:, 0, :, None, :]
    memory = torch.addcmul(memory, gate, memory, value=-1)
    memory = torch.addcmul(memory, value[:, 0, :, :, None], key[:, 0, :, None, :])
    return torch.linalg.vecdot(memory, query[:, 0, :, None, :]).unsqueeze(1), memory


def _rows(x: Tensor) -> tuple[Tensor, ...]:
    return x.unsqueeze(-2).unbind(1)


def _columns(x: Tensor) -> tuple[Tensor, ...]:
    return x.unsqueeze(-1).unbind(1)


class _Walk:
    """The steps of the memory, one at a time, without a new tensor for any of them.

    Args:
        value_gate: β [B, T, H, V].
        key_gate: γ [B, T, H, K].
        value: u [B, T, H, V].
        key: z [B, T, H, K].
        is_first: [B, T] booleans, or None.
    """

    def __init__(self, value_gate: Tensor, key_gate: Tensor, value: Tensor, key: Tensor, is_first: Tensor | None):
        self._gates = list(zip(_columns(value_gate), _rows(key_gate), strict=True))
        self._writes = list(zip(_columns(value), _rows(key), strict=True))
        self._gate = value.new_empty(*value[:, 0].shape, key.shape[-1])
        self._kept = None if is_first is None else (~is_first)[:, :, None, None, None].unbind(1)
        self._forgets = [False] * len(self._gates) if is_first is None else is_first.any(dim=0).tolist()

    def forget(self, t: int, memory: Tensor) -> None:
        """Empty the rows of `memory` [B, H, V, K] for which step t is the first of an episode."""
        if self._kept is not None and self._forgets[t]:
            memory.mul_(self._kept[t])

    def decay(self, t: int, memory: Tensor, out: Tensor) -> Tensor:
        """Put (1 − β_t ⊗ γ_t) ⊙ memory into `out` [B, H, V, K], which may be the memory itself."""
        torch.mul(*self._gates[t], out=self._gate)
        return torch.addcmul(memory, self._gate, memory, value=-1, out=out)

    def write(self, t: int, memory: Tensor, out: Tensor) -> Tensor:
        """Put the memory after step t, given the one before it, into `out` [B, H, V, K]."""
        return self.decay(t, memory, out).addcmul_(*self._writes[t])


class _Sequence(torch.autograd.Function):
    """The walk over T. With G_t = ∂C_t and D_t = −G_t ⊙ C_{t−1}, backwards in time:

    G_t = (1 − β_{t+1} ⊗ γ_{t+1}) ⊙ G_{t+1} + ∂r_t ⊗ q_t
    ∂q_t = C_tᵀ ∂r_t    ∂u_t = G_t z_t    ∂z_t = G_tᵀ u_t    ∂β_t = D_t γ_t    ∂γ_t = D_tᵀ β_t
    """

    @staticmethod
    def forward(
        ctx: Any,
        value_gate: Tensor,
        key_gate: Tensor,
        value: Tensor,
        key: Tensor,
        query: Tensor,
        initial: Tensor,
        is_first: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        walk = _Walk(value_gate, key_gate, value, key, is_first)
        n_steps = value.shape[1]
        ctx.chunk = math.ceil(math.sqrt(n_steps))
        needs_backward = any(ctx.needs_input_grad)
        reads = torch.empty_like(value, memory_format=torch.contiguous_format)
        memory = initial.clone(memory_format=torch.contiguous_format)
        checkpoints = []
        for t, (query_t, read_t) in enumerate(zip(_rows(query), reads.unbind(1), strict=True)):
            if needs_backward and t % ctx.chunk == 0:
                checkpoints.append(memory.clone())
            walk.forget(t, memory)
            walk.write(t, memory, out=memory)
            torch.linalg.vecdot(memory, query_t, out=read_t)
        ctx.save_for_backward(value_gate, key_gate, value, key, query, is_first, *checkpoints)
        return reads, memory

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_reads: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        value_gate, key_gate, value, key, query, is_first, *checkpoints = ctx.saved_tensors
        walk = _Walk(value_gate, key_gate, value, key, is_first)
        grads = [
            torch.empty_like(x, memory_format=torch.contiguous_format)
            for x in (value_gate, key_gate, value, key, query)
        ]
        grad_value_gate, grad_key_gate, grad_value, grad_key, grad_query = grads
        # A row times a matrix is several times faster than a matrix times a column, for which vecdot is the better way.
        grad_read_row, value_row, value_gate_row = map(_rows, (grad_reads, value, value_gate))
        grad_query_row, grad_key_row, grad_key_gate_row = map(_rows, (grad_query, grad_key, grad_key_gate))
        query_row, key_row, key_gate_row = map(_rows, (query, key, key_gate))
        grad_read_column = _columns(grad_reads)
        grad_value_t, grad_value_gate_t = grad_value.unbind(1), grad_value_gate.unbind(1)

        grad = grad_memory.clone(memory_format=torch.contiguous_format)
        memories = [torch.empty_like(grad) for _ in range(ctx.chunk + 1)]
        for index in reversed(range(len(checkpoints))):
            steps = range(index * ctx.chunk, min((index + 1) * ctx.chunk, value.shape[1]))
            memories[0].copy_(checkpoints[index])
            for t, before, after in zip(steps, memories, memories[1:], strict=False):
                walk.forget(t, before)
                walk.write(t, before, out=after)
                torch.matmul(grad_read_row[t], after, out=grad_query_row[t])
            for t, before in reversed(list(zip(steps, memories, strict=False))):
                grad.addcmul_(grad_read_column[t], query_row[t])
                torch.linalg.vecdot(grad, key_row[t], out=grad_value_t[t])
                torch.matmul(value_row[t], grad, out=grad_key_row[t])
                grad_gate = before.mul_(grad).neg_()
                torch.linalg.vecdot(grad_gate, key_gate_row[t], out=grad_value_gate_t[t])
                torch.matmul(value_gate_row[t], grad_gate, out=grad_key_gate_row[t])
                walk.decay(t, grad, out=grad)
                walk.forget(t, grad)
        return *grads, grad, None
