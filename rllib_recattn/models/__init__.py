"""Recurrent-attention models in plain PyTorch, behind one contract; imports neither Ray nor Gymnasium."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from rllib_recattn.models.old_paths import find_moved_modules

if TYPE_CHECKING:
    from rllib_recattn.models.registry import ModelInfo


class _CallablePackage(ModuleType):
    """Lets `rllib_recattn.models()` list the catalog.

    Importing this subpackage binds its name in the parent package, over any function of that name, so the listing can
    only live on the subpackage itself.
    """

    def __call__(self) -> list[ModelInfo]:
        from rllib_recattn.models.registry import models

        return models()


sys.modules[__name__].__class__ = _CallablePackage
find_moved_modules()
