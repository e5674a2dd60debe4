"""What PyTorch keeps to itself and this package relies on, with what for.

A test calls each function, and fails with the sentence that a user would read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.private_names import Override, import_private, optional_private, private

_HOOKS = "to leave modules that somebody listens to out of the kernels in C++"

OVERRIDES = (
    Override(
        "torch.nn.modules.module:Module",
        "_apply",
        "to check the counts in states, and to make sinusoids again, when a model's dtype changes",
    ),
)


def parameters_of(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the dict in which a module keeps its own parameters, which follows when one is replaced."""
    parameters: dict[str, nn.Parameter] = private(
        module, "_parameters", "to hand weights to kernels without looking each up"
    )
    return parameters


def buffers_of(module: nn.Module) -> dict[str, Tensor]:
    """Return the dict in which a module keeps its own buffers, likewise."""
    buffers: dict[str, Tensor] = private(module, "_buffers", "to hand buffers to kernels without looking each up")
    return buffers


def children_of(module: nn.Module) -> dict[str, nn.Module | None]:
    """Return the dict in which a module keeps its own submodules, likewise."""
    children: dict[str, nn.Module | None] = private(module, "_modules", "to see which modules kernels stand for")
    return children


def hooks_of(module: nn.Module) -> list[dict[int, Any]]:
    """Return the dicts in which a module keeps who listens to it."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [private(module, name, _HOOKS) for name in names]


def global_hook_check() -> Callable[[], bool]:
    """Return what tells whether somebody listens to all modules."""
    check: Callable[[], bool] = import_private("torch.nn.modules.module", "_has_any_global_hook", _HOOKS)
    return check


def onednn_linear() -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """Return what multiplies matrices with oneDNN: x Wᵀ + b; None, with a warning, where PyTorch has another way.

    Without it, models compute the same, more slowly; see :mod:`rllib_recattn.models.parts.linear`.
    """
    if not torch.backends.mkldnn.is_available():
        return None
    pointwise = optional_private(torch.ops.mkldnn, "_linear_pointwise", "to multiply large matrices with oneDNN")
    return None if pointwise is None else lambda x, weight, bias: pointwise(x, weight, bias, "none", [], "")
