"""Counts of steps within a state, exact in every dtype that the state can have.

A state's numbers are all of one dtype, its counts among them, and bfloat16 holds no whole number between 256 and 258:
who counts on in it stays at 256. So models count in at least float32, what is kept of a count stays small, and a model
whose counts would not fit refuses the dtype.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rllib_recattn.errors import SettingsError


def widened(count: Tensor) -> Tensor:
    """Return a count in a dtype in which sums with millions of steps are exact: at least float32."""
    return count.to(torch.promote_types(count.dtype, torch.float32))


def count_on(before: Tensor, n_steps: int, is_first: Tensor | None) -> Tensor:
    """Count steps, from 0 again where an episode starts.

    Args:
        before: The count at the first step [B, 1].
        n_steps: T.
        is_first: Steps that start an episode [B, T], booleans; None: there are none.

    Returns:
        The count at each step [B, T], in the dtype of `before`.

    Example:
        >>> count_on(torch.tensor([[7]]), 4, torch.tensor([[False, False, True, False]]))
        tensor([[7, 8, 0, 1]])
    """
    index = torch.arange(n_steps, device=before.device)
    counts = before + index
    if is_first is None:
        return counts
    latest_first = torch.where(is_first, index, -1).cummax(dim=1).values
    return torch.where(latest_first >= 0, (index - latest_first).to(counts.dtype), counts)


def largest_count(dtype: torch.dtype) -> int:
    """Return the whole number up to which a floating-point dtype holds them all: 256 for bfloat16, 2048 for float16."""
    return int(2 / torch.finfo(dtype).eps)


@dataclass(frozen=True)
class Counter:
    """A part of a state that counts steps.

    Attributes:
        largest: To which number it counts.
        setting: The setting that says so.
        value: Its value.
    """

    largest: int
    setting: str
    value: int

    def check(self, dtype: torch.dtype) -> None:
        """Refuse a dtype that does not hold all of its counts.

        Raises:
            SettingsError: If it does not.
        """
        exact = largest_count(dtype)
        if self.largest > exact:
            most = self.value * (exact + 1) // (self.largest + 1)
            raise SettingsError(
                f"{self.setting} = {self.value}: the model's state counts to {self.largest}, and {dtype} only to "
                f"{exact}: should be at most {most}, or the model float32"
            )
