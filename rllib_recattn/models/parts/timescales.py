"""Time scales over which gates forget at the start.

A gate that a step's input does not move forgets 1/τ of what it guards with every step. With zero biases τ is 2, and no
gradient comes back from twenty steps ago.

Source: "chrono" initialisation (Tallec & Ollivier, 2018, arXiv 1804.11188), with time scales that are spread evenly
over their orders of magnitude.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def timescales(n: int, max_timescale: float) -> Tensor:
    """Return time scales τ [n] of 2 … `max_timescale` steps, evenly spread over their orders of magnitude."""
    return 2 * torch.exp(torch.linspace(0, 1, n) * math.log(max_timescale / 2))


def slowest_first(n: int, max_timescale: float) -> Tensor:
    """Return the time scales of :func:`timescales`, the longest first: one that is alone remembers for long."""
    return timescales(max(n, 2), max_timescale).flip(0)[:n]


def keep_biases(n: int, max_timescale: float) -> Tensor:
    """Return biases [n] with which σ(bias) = 1 − 1/τ is kept of n features, for time scales τ of 2 … `max_timescale`.

    With −bias, σ is 1/τ. At τ = 2 the bias is 0.
    """
    return torch.log(timescales(n, max_timescale) - 1)


def spread_timescales(bias: Tensor, max_timescale: float, n_heads: int) -> None:
    """Fill the biases of a gate [H·d] so that a head forgets over many time scales, from 2 to `max_timescale` steps.

    With zero biases a gate is ½, and what it guards halves with every step.
    """
    with torch.no_grad():
        bias.copy_(-keep_biases(bias.numel() // n_heads, max_timescale).repeat(n_heads))
