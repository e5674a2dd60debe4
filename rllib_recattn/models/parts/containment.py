"""Keeps what is not finite where it belongs: from its step on, in its episode, in its row.

A NaN or an infinity that is written to a memory is all that the memory says from then on. Whoever reads a sequence by
sums over its steps, though, has 0 · NaN = NaN where a weight of 0 should have kept it out: in steps before it, behind a
decay of 0 that starts an episode, and in the gradient of every weight. So sequences are read with zeros in its place,
and the steps that depended on it are filled in afterwards, through which no gradient passes.

Shape suffixes: B rows of a batch, T steps, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def not_finite(x: Tensor) -> Tensor:
    """Tell where [..., D] holds a NaN or an infinity, as booleans [...]."""
    if x.shape[-1] == 0:
        return torch.zeros(x.shape[:-1], dtype=torch.bool, device=x.device)
    return ~torch.isfinite(x.abs().amax(dim=-1))  # in a third of the time that isfinite takes for all of x


def without(x: Tensor, lost: Tensor) -> Tensor:
    """Return x [..., *shape] with zeros where `lost` [...] says so."""
    return _fill(x, lost, 0.0)


def lose(x: Tensor, lost: Tensor) -> Tensor:
    """Return x [..., *shape] with NaN where `lost` [...] says so."""
    return _fill(x, lost, math.nan)


def lost_from(lost: Tensor, lost_before: Tensor, is_first: Tensor | None) -> Tensor:
    """Tell which steps come at or after one that is lost, in the same episode.

    Args:
        lost: Steps that are [B, T].
        lost_before: Whether what is remembered before the first step is [B].
        is_first: [B, T] booleans, true where everything remembered is forgotten before the step; or None.

    Returns:
        Booleans [B, T].
    """
    index = torch.arange(lost.shape[1], device=lost.device)
    latest = torch.where(lost, index, -2).cummax(dim=1).values
    latest = torch.maximum(latest, torch.where(lost_before, -1, -2).unsqueeze(1))
    if is_first is None:
        return latest > -2
    return (latest > -2) & (latest >= torch.where(is_first, index, -1).cummax(dim=1).values)


def lost_in_window(lost: Tensor, reach: Tensor) -> Tensor:
    """Tell which steps attend to one that is lost.

    Args:
        lost: M steps before a chunk, and the T steps of it [B, M + T].
        reach: How many earlier steps each step of the chunk attends to besides itself [B, T], each at most M.

    Returns:
        Booleans [B, T].
    """
    index = torch.arange(lost.shape[1], device=lost.device)
    latest = torch.where(lost, index, -1).cummax(dim=1).values
    n_steps = reach.shape[1]
    return latest[:, -n_steps:] >= index[-n_steps:] - reach.long()


def _fill(x: Tensor, lost: Tensor, value: float) -> Tensor:
    return x.masked_fill(lost.view(*lost.shape, *[1] * (x.dim() - lost.dim())), value)
