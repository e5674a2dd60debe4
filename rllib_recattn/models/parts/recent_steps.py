"""The last few inputs of each episode, carried from call to call.

Shape suffixes: B rows of a batch, T steps, N earlier steps that are carried, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rllib_recattn.models.parts.counters import count_on

RECENT = "recent"
"""The part of a state that holds them."""


def ages(n_steps: int, n_before: int, is_first: Tensor) -> Tensor:
    """Tell how many steps of its episode come before each step, as far as N are remembered [B, T].

    Where no step was the first, all N places before the first step are taken to be of this episode: those that are
    not are zero.
    """
    return count_on(torch.full((1, 1), n_before, device=is_first.device), n_steps, is_first)


def look_back(h: Tensor, recent: Tensor, is_first: Tensor | None) -> tuple[list[Tensor], Tensor]:
    """Look back from each of T steps to the N before it.

    Args:
        h: Inputs [B, T, D].
        recent: The N inputs before the first step [B, N, D], the newest first; zero where there were none.
        is_first: [B, T] booleans, true where a step starts an episode; or None.

    Returns:
        The inputs 1, 2, … N steps before each step [B, T, D], zero where that is before the episode; and the N inputs
        before the next step, as `recent`.
    """
    n_steps, n_before = h.shape[1], recent.shape[1]
    steps = torch.cat([recent.flip(1), h], dim=1)
    new_recent = steps[:, n_steps:].flip(1)
    earlier = [steps[:, n_before - i : n_before - i + n_steps] for i in range(1, n_before + 1)]
    if is_first is not None:
        age = ages(n_steps, n_before, is_first).unsqueeze(-1)
        earlier = [before.masked_fill(age < i, 0) for i, before in enumerate(earlier, start=1)]
        places = torch.arange(n_before, device=h.device).unsqueeze(-1)
        new_recent = new_recent.masked_fill(places > age[:, -1:], 0)
    return earlier, new_recent
