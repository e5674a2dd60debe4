"""Recurrent-attention models in plain PyTorch, behind one contract; imports neither Ray nor Gymnasium."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import rllib_recattn.models.catalog  # noqa: F401 (it registers the models of this package)
from rllib_recattn.models.registry import ModelInfo, list_models


class _CallablePackage(ModuleType):
    """Lets the old `rllib_recattn.models()` do what `rllib_recattn.list_models()` does.

    Importing this subpackage binds its name in the parent package, over any function of that name.
    """

    def __call__(self) -> list[ModelInfo]:
        warnings.warn("rllib_recattn.models() is now rllib_recattn.list_models()", DeprecationWarning, stacklevel=2)
        return list_models()


sys.modules[__name__].__class__ = _CallablePackage
