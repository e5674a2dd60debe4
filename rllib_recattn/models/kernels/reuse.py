"""Large tensors whose memory is used again once nobody has them any more.

An acting step of many agents makes a new state of megabytes and drops the one before. The C library may hand such
memory back to the system each time, and then a step pays for new pages, which takes as long as all of its arithmetic.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

LARGE = 1 << 20  # bytes; the C library keeps what is smaller
SPARE = 2  # that are kept: the state before a step is dropped behind it
ALIGNMENT = 64


class Reuse:
    """Makes tensors like others, without anything in them.

    Attributes:
        spare: Memory that is waiting for the next ones, all of one size.
    """

    def __init__(self) -> None:
        self.spare: deque[np.ndarray] = deque(maxlen=SPARE)

    def empty_like(self, x: Tensor) -> Tensor:
        """Return a dense tensor of the shape and dtype of x, a dense one on the CPU."""
        n_bytes = x.nbytes
        if n_bytes < LARGE:
            return torch.empty_like(x)
        spare = self.spare
        try:
            memory = spare.pop()
        except IndexError:  # asking first would not do: another thread may take the last one in between
            memory = None
        if memory is None or memory.nbytes != n_bytes:
            spare.clear()
            room = np.empty(n_bytes + ALIGNMENT, dtype=np.uint8)
            start = -room.ctypes.data % ALIGNMENT
            memory = room[start : start + n_bytes]
        # A view that the tensor's storage owns; it goes when the last tensor of that storage has gone.
        lent = memory.view()
        weakref.finalize(lent, spare.append, memory).atexit = False
        return torch.from_numpy(lent).view(x.dtype).view(x.shape)

    def __reduce__(self) -> tuple[type[Reuse], tuple[Any, ...]]:
        return Reuse, ()
