"""AGaLiTe's key memory over whole sequences: R channels that share their decay, written with one cosine each.

    k̃_t,j = a_t ⊙ k̃_{t−1},j + c_t,j w_t        o_t,j = k̃_t,j · q_t        j = 1 … R

This is the memory of gated linear attention (:mod:`rllib_recattn.models.parts.gated_linear_attention`) with c in the
place of the values, so its chunkwise form applies, and serves accelerators. A CPU is faster with a loop: R is 3 where
chunks are made for values as wide as keys. What the loop is for is memory traffic. Written with tensor operations, the
recurrence makes several tensors of R · η · d numbers for every step, and fresh memory costs a CPU more than the
arithmetic in it; here all but the memory itself stays in the cache.

Shapes: B rows, T steps, H heads, K = η · d features of a key, R channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.parts.graphs import in_graph
from rllib_recattn.models.parts.mixed_precision import without_autocast


@without_autocast
def read_key_memory(
    decay: Tensor, write: Tensor, query: Tensor, channels: Tensor, initial: Tensor
) -> tuple[Tensor, Tensor]:
    """Write T steps to the memory and read it after each.

    Args:
        decay: a [B, T, H, K], in [0, 1].
        write: w [B, T, H, K].
        query: q [B, T, H, K].
        channels: c [B, T, R]; no gradient reaches them.
        initial: The memory before the first step [B, H, R, K].

    Returns:
        o [B, T, H, R] and the memory after the last step [B, H, R, K].
    """
    if write.shape[1] == 1:
        memory = torch.addcmul(channels.unsqueeze(-1) * write[:, 0, :, None], decay[:, 0, :, None], initial)
        return torch.linalg.vecdot(memory, query[:, 0, :, None]).unsqueeze(1), memory
    if write.device.type == "cpu" and not in_graph():
        return _Loop.apply(decay, write, query, channels, initial)
    values = channels.unsqueeze(2).expand(-1, -1, write.shape[2], -1)
    output, memory = gated_linear_attention(query, write, values, decay, initial.mT)
    return output, memory.mT


class _Loop(torch.autograd.Function):
    """The loop over T. With G_t,j the gradient of k̃_t,j, backwards in time:

    G_t,j = a_{t+1} ⊙ G_{t+1},j + ∂o_t,j q_t
    ∂q_t = Σ_j ∂o_t,j k̃_t,j        ∂w_t = Σ_j c_t,j G_t,j        ∂a_t = Σ_j G_t,j ⊙ k̃_{t−1},j

    The forward pass keeps the memory of every √T-th step only, and the backward pass makes those between again.
    """

    @staticmethod
    def forward(
        ctx: Any, decay: Tensor, write: Tensor, query: Tensor, channels: Tensor, initial: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.interval = math.ceil(math.sqrt(write.shape[1]))
        needs_backward = any(ctx.needs_input_grad)
        output = write.new_empty(write.shape[1], *write.shape[::2], channels.shape[-1])
        memory = initial.clone(memory_format=torch.contiguous_format)
        product, kept = torch.empty_like(memory), []
        for t, (a, w, q, c) in enumerate(_steps(decay, write, query, channels)):
            if needs_backward and t % ctx.interval == 0:
                kept.append(memory.clone())
            _write(memory, a, w, c, product, out=memory)
            torch.sum(torch.mul(memory, q, out=product), -1, out=output[t])
        ctx.save_for_backward(decay, write, query, channels, *kept)
        return output.transpose(0, 1), memory

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        decay, write, query, channels, *kept = ctx.saved_tensors
        grads = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (decay, write, query)]
        grad_decay, grad_write, grad_query = (x.unbind(1) for x in grads)
        grad = grad_memory.clone(memory_format=torch.contiguous_format)
        product, memories = torch.empty_like(grad), [torch.empty_like(grad) for _ in range(ctx.interval + 1)]
        grad_outputs = grad_output.unsqueeze(-1).unbind(1)
        steps = list(enumerate(zip(_steps(decay, write, query, channels), grad_outputs, strict=True)))
        for index in reversed(range(len(kept))):
            between = steps[index * ctx.interval : (index + 1) * ctx.interval]
            memories[0] = kept[index]
            for before, after, (_, ((a, w, _, c), _)) in zip(memories, memories[1:], between, strict=False):
                _write(before, a, w, c, product, out=after)
            for offset, (t, ((a, _, q, c), grad_o)) in reversed(list(enumerate(between))):
                grad.addcmul_(grad_o, q)
                torch.sum(torch.mul(grad_o, memories[offset + 1], out=product), -2, out=grad_query[t])
                torch.sum(torch.mul(grad, c, out=product), -2, out=grad_write[t])
                torch.sum(torch.mul(grad, memories[offset], out=product), -2, out=grad_decay[t])
                grad.mul_(a)
        return *grads, None, grad


def _write(memory: Tensor, decay: Tensor, write: Tensor, channels: Tensor, product: Tensor, out: Tensor) -> None:
    """Put the memory after a step into `out`, by way of `product`."""
    torch.addcmul(torch.mul(channels, write, out=product), decay, memory, out=out)


def _steps(
    decay: Tensor, write: Tensor, query: Tensor, channels: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Iterate over the steps of all operands, in shapes that broadcast to [B, H, R, K]."""
    by_key = (x.unsqueeze(-2).unbind(1) for x in (decay, write, query))
    return zip(*by_key, channels[:, :, None, :, None].unbind(1), strict=True)
