"""What the tests of the internals modules share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any


def functions_of(modules: Iterable[ModuleType]) -> dict[str, Callable[..., Any]]:
    """The functions that modules define for others, by name."""
    return {
        name: function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }
