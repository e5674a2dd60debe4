"""The linear recurrence h_t = a_t ⊙ h_{t−1} + b_t over whole sequences.

Two forms with the same results. On a CPU a plain loop with preallocated outputs and a hand-written backward pass is
the fastest by far: its memory traffic is minimal, and nothing is launched. On an accelerator the number of dependent
kernels counts, so there the doubling form needs log₂ T of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rllib_recattn.models.parts.graphs import in_graph


def linear_recurrence(decay: Tensor, update: Tensor, initial: Tensor) -> Tensor:
    """Compute h_t = decay_t ⊙ h_{t−1} + update_t for t = 1 … T, with h_0 = initial.

    Args:
        decay: a [B, T, …], broadcastable to the shape of `update` over the trailing dimensions; in [0, 1] for the
            doubling form to stay finite.
        update: b [B, T, …].
        initial: h_0 [B, …], the shape of one step of `update`.

    Returns:
        h_1 … h_T, of the shape of `update`.
    """
    if update.shape[1] == 1:
        return torch.addcmul(update, decay, initial.unsqueeze(1))
    if update.device.type == "cpu" and not in_graph():
        return _RecurrenceLoop.apply(decay, update, initial)
    return linear_recurrence_doubling(decay, update, initial)


def linear_recurrence_doubling(decay: Tensor, update: Tensor, initial: Tensor) -> Tensor:
    """Compute :func:`linear_recurrence` in ⌈log₂ T⌉ rounds, each of which doubles the span that a step looks back.

    The composition of two steps of the recurrence is again one, (a₂, b₂) ∘ (a₁, b₁) = (a₂a₁, a₂b₁ + b₂), and
    composition is associative (Blelloch, 1990, "Prefix sums and their applications").
    """
    first = torch.addcmul(update[:, :1], decay[:, :1], initial.unsqueeze(1))
    h = torch.cat([first, update[:, 1:]], dim=1)
    span = 1
    while span < update.shape[1]:
        h = torch.cat([h[:, :span], torch.addcmul(h[:, span:], decay[:, span:], h[:, :-span])], dim=1)
        decay = torch.cat([decay[:, :span], decay[:, span:] * decay[:, :-span]], dim=1)
        span *= 2
    return h


def running_maximum(log_decay: Tensor, floor: Tensor, initial: Tensor) -> Tensor:
    """Compute m_t = max(log_decay_t + m_{t−1}, floor_t) for t = 1 … T, with m_0 = initial, in ⌈log₂ T⌉ rounds.

    It is the recurrence above with maxima for sums and sums for products. No logarithms are added up over a whole
    sequence and subtracted again, so m is as exact late in a long one as in the beginning.

    Args:
        log_decay: [B, T, …]; −∞ where nothing is left of what was before.
        floor: [B, T, …], finite.
        initial: m_0 [B, …].

    Returns:
        m_1 … m_T [B, T, …].
    """
    first = torch.maximum(log_decay[:, :1] + initial.unsqueeze(1), floor[:, :1])
    m = torch.cat([first, floor[:, 1:]], dim=1)
    span = 1
    while span < floor.shape[1]:
        m = torch.cat([m[:, :span], torch.maximum(m[:, span:], log_decay[:, span:] + m[:, :-span])], dim=1)
        log_decay = torch.cat([log_decay[:, :span], log_decay[:, span:] + log_decay[:, :-span]], dim=1)
        span *= 2
    return m


class _RecurrenceLoop(torch.autograd.Function):
    """The loop over T. Backward: g_t = ∂h_t + a_{t+1} g_{t+1}; ∂b_t = g_t, ∂a_t = g_t ⊙ h_{t−1}, ∂h_0 = a_1 g_1."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor, initial: Tensor) -> Tensor:
        h = torch.empty_like(update, memory_format=torch.contiguous_format)
        previous = initial
        for step, (h_t, a_t, b_t) in enumerate(zip(h.unbind(1), decay.unbind(1), update.unbind(1), strict=True)):
            torch.addcmul(b_t, a_t, previous, out=h_t)
            previous = h[:, step]
        ctx.save_for_backward(decay, h, initial)
        return h

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay, h, initial = ctx.saved_tensors
        grad_update = grad_h.clone(memory_format=torch.contiguous_format)
        steps = grad_update.unbind(1)
        decays = decay.unbind(1)
        for t in range(len(steps) - 1, 0, -1):
            steps[t - 1].addcmul_(decays[t], steps[t])
        grad_decay = torch.empty_like(decay, memory_format=torch.contiguous_format)
        grad_decay[:, 1:] = (grad_update[:, 1:] * h[:, :-1]).sum_to_size(decay[:, 1:].shape)
        grad_decay[:, 0] = (grad_update[:, 0] * initial).sum_to_size(decay[:, 0].shape)
        return grad_decay, grad_update, (decays[0] * steps[0]).sum_to_size(initial.shape)
