"""Mixed precision: what :func:`torch.autocast` changes in a model, and what it leaves alone.

The products of Linear layers are taken in the dtype that it asks for, such as bfloat16, and handed on in the weights'
own. All else stays in that: a memory that forgets a hundredth of itself with each step does not change at all in
bfloat16, whose numbers are a 128th apart, and a state has the same dtype after every step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def autocast_changes(x: Tensor) -> bool:
    """Say whether operations on tensors like this one may be given another dtype."""
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function compute in the dtype of its tensors under :func:`torch.autocast`, too.

    Args:
        function: Takes tensors as positional arguments, perhaps behind others.
    """

    @wraps(function)
    def in_own_dtype(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next((arg.device.type for arg in args if isinstance(arg, Tensor) and autocast_changes(arg)), None)
        if device is None:
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return in_own_dtype


vecdot = without_autocast(torch.linalg.vecdot)
