"""Models whose operations are recorded as a graph: :func:`torch.compile`, :func:`torch.export.export`, tracing.

A graph holds for all numbers that its inputs may have. It has no place for a branch that is taken where some row begins
an episode, nor, for :func:`torch.compile`, for results that are written into parts of other tensors. Where a model does
either, for speed, it has another way to the same results.
"""

from __future__ import annotations

import torch
from torch import Tensor


def in_graph() -> bool:
    """Say whether what is called now is recorded for later, with other numbers."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


class Rows:
    """Some of the B rows of a batch, for what is to be done with these alone.

    In a graph, where nobody knows which, it is done with all of them, and what is not wanted is dropped.

    Args:
        chosen: Which ones [B], as booleans.
    """

    def __init__(self, chosen: Tensor):
        self._chosen = chosen
        self._index = None if in_graph() else chosen.nonzero()[:, 0]

    def __bool__(self) -> bool:
        """Say whether there may be any."""
        return self._index is None or len(self._index) > 0

    def take(self, x: Tensor) -> Tensor:
        """Return these rows of x [B, …]."""
        return x if self._index is None else x[self._index]

    def put(self, x: Tensor, rows: Tensor) -> Tensor:
        """Return x [B, …] with others in the place of these rows."""
        if self._index is None:
            return torch.where(self._chosen.view(-1, *[1] * (x.dim() - 1)), rows, x)
        return x.index_copy(0, self._index, rows)
