"""Sequences cut into segments of K steps, for rows that stand at different positions in their segments.

Cutting all rows wherever any of them begins a segment would leave pieces of a step or two. Instead each row is laid out
on a grid of its own: [segments, K] slots, so that all rows' first segments are processed together, then all rows'
second ones.

Shapes: B rows, T steps, G segments, K slots in a segment, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rllib_recattn.models.parts.counters import count_on
from rllib_recattn.models.parts.graphs import in_graph


class SegmentGrid:
    """The slots of T steps of B rows.

    A row's first step continues the segment that the row is in, whatever its position. A new segment begins when the
    one before it is full, or with a new episode, which leaves the rest of the segment before it empty.

    Args:
        position: Slot of each row's first step, in integers [B]; a new episode at that step makes it 0.
        is_first: [B, T] booleans, true where a step begins a new episode; or None.
        n_steps: T.
        segment_length: K.

    Attributes:
        n_segments: G, the largest number of segments of any row; in a graph, the largest that a row may have.
        slot: Slot of each step in its segment [B, T].
        last: The segment of each row's last step [B].
        finished: Whether the last slot of a row's segment is taken [B, G].
        restarts: Whether a row's segment begins with the first step of an episode [B, G].
    """

    def __init__(self, position: Tensor, is_first: Tensor | None, n_steps: int, segment_length: int):
        self.slot = count_on(position.unsqueeze(1), n_steps, is_first) % segment_length
        begins = self.slot == 0
        begins[:, 0] = False
        segment = begins.cumsum(dim=1)
        self.last = segment[:, -1]
        if n_steps == 1:
            self.n_segments = 1
        elif in_graph():
            self.n_segments = n_steps if is_first is not None else -(-(n_steps - 1) // segment_length) + 1
        else:
            self.n_segments = int(self.last.max()) + 1 if len(position) else 1
        self._n_slots, self._segment_length = self.n_segments * segment_length, segment_length
        self._index = segment * segment_length + self.slot
        self.finished = self.place(torch.ones_like(begins))[..., -1]
        self.restarts = torch.zeros_like(self.finished) if is_first is None else self.place(is_first)[..., 0]

    def place(self, x: Tensor) -> Tensor:
        """Put the steps [B, T, …] into their slots [B, G, K, …]; slots without a step are zero."""
        slots = x.new_zeros(x.shape[0], self._n_slots, *x.shape[2:])
        return slots.scatter(1, self._expand(x), x).unflatten(1, (self.n_segments, self._segment_length))

    def collect(self, slots: Tensor) -> Tensor:
        """Take the steps [B, T, …] out of their slots [B, G, K, …]."""
        slots = slots.flatten(1, 2)
        return slots.gather(1, self._expand(slots))

    def _expand(self, like: Tensor) -> Tensor:
        index = self._index.view(*self._index.shape, *[1] * (like.dim() - 2))
        return index.expand(*self._index.shape, *like.shape[2:])
