"""Where modules of this package were before: imports, commands and pickles of whole models find them there as well.

Checkpoints of RLlib need none of this, since they name no class of `models`; a model that :func:`torch.save` has
written as a whole names the class of each of its modules.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import CodeType, ModuleType
from typing import Any

_HERE = __package__
_OLD_KERNELS = f"{_HERE}.native"
_TO_PARTS = (
    *("blocks", "containment", "counters", "expanded_attention", "gated_linear_attention", "graphs", "key_memory"),
    *("linear", "mixed_precision", "oscillation", "outer_product_memory", "relative_attention", "scan"),
    *("segment_attention", "segments", "stack", "timescales"),
)
_KERNELS = ("attention", "block", "build", "gate", "library", "step", "weights")

# A module's old path → where its content is now.
MOVED: dict[str, tuple[str, ...]] = {
    **{f"{_HERE}.{name}": (f"{_HERE}.parts.{name}",) for name in _TO_PARTS},
    f"{_HERE}.rnn": (f"{_HERE}.parts.recurrent", f"{_HERE}.lstm", f"{_HERE}.gru"),
    f"{_HERE}.fla_kernels": (f"{_HERE}.kernels.fla",),
    _OLD_KERNELS: (f"{_HERE}.kernels",),
    **{f"{_OLD_KERNELS}.{name}": (f"{_HERE}.kernels.{name}",) for name in _KERNELS},
}

_RENAMED = {f"{_HERE}.stack": {"StackSettings": "MultiHeadSettings"}}  # when all stacked models had heads


class OldPaths(MetaPathFinder, InspectLoader):
    """Makes a module with an old path of what has moved from it."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module, if it has moved."""
        return spec_from_loader(fullname, self) if fullname in MOVED else None

    def is_package(self, fullname: str) -> bool:
        """Say whether modules were below it."""
        return fullname == _OLD_KERNELS

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module with the names that it had."""
        for path in MOVED[module.__name__]:
            content = vars(import_module(path))
            vars(module).update({name: value for name, value in content.items() if not name.startswith("__")})
        for old, new in _RENAMED.get(module.__name__, {}).items():
            setattr(module, old, getattr(module, new))

    def get_source(self, fullname: str) -> str | None:
        """Return None: it has none."""
        return None

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code that ``python -m`` is to run."""
        spec = find_spec(MOVED[fullname][0])
        assert spec is not None
        return spec.loader.get_code(spec.name)  # type: ignore[union-attr]


def find_moved_modules() -> None:
    """Let modules be found by their old paths, too."""
    sys.meta_path.append(OldPaths())
