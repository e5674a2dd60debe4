"""Trained agents from one of RLlib's API stacks to the other."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rllib_recattn.model_v2 import check_old_stack

if TYPE_CHECKING:
    from rllib_recattn.migration.checkpoints.convert import convert_checkpoint

__all__ = ["convert_checkpoint"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_old_stack(f"rllib_recattn.{name}")
    return getattr(import_module("rllib_recattn.migration.checkpoints.convert"), name)
