"""What other packages keep to themselves and this one relies on.

Names with a leading underscore, and modules that no documentation lists, may be gone in the next version. They stand
in a few modules only, ``*_internals``, each in a function that says what it is for; there they are asked for with the
functions below, whose error names what is missing. `tests/test_private_names.py` sees that no other module has any.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from rllib_recattn.tested_versions import UntestedVersionWarning, tested_versions


class MissingNameError(RuntimeError):
    """Another package has no longer what this one relies on. The message names it, its use and the versions."""


@dataclass(frozen=True)
class Override:
    """A method of another package that a class of this one replaces, though it is not documented.

    Attributes:
        base: The class that has it: ``module:Class``.
        name: The method.
        why: What the replacement is for: "to …".
    """

    base: str
    name: str
    why: str

    def check(self) -> None:
        """Raise MissingNameError if the class has no such method: nobody would call the one in its place."""
        module, _, name = self.base.partition(":")
        private(import_private(module, name, self.why), self.name, self.why)


def private(owner: Any, name: str, why: str) -> Any:
    """Return an attribute of another package's object, class or module.

    Args:
        owner: What should have it.
        name: The attribute.
        why: What it is needed for: "to …".

    Raises:
        MissingNameError: If there is none.
    """
    try:
        return getattr(owner, name)
    except AttributeError as error:
        raise MissingNameError(_sentence(owner, name, why)) from error


def set_private(owner: Any, name: str, value: Any, why: str) -> None:
    """Set an attribute that another package's object, class or module has to have; see :func:`private`."""
    private(owner, name, why)
    setattr(owner, name, value)


def wrap(owner: Any, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]], why: str) -> None:
    """Put what `wrapper` makes of a method, or of a module's function, in its place; see :func:`private`."""
    setattr(owner, name, wrapper(private(owner, name, why)))


def import_private(module: str, name: str, why: str) -> Any:
    """Import `name` from a module of another package; see :func:`private`."""
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise MissingNameError(_sentence(module, name, why)) from error
    return private(found, name, why)


def optional_private(owner: Any, name: str, why: str) -> Any:
    """Return an attribute, for what does without it as well, though worse; None with a warning if there is none."""
    try:
        return private(owner, name, why)
    except MissingNameError as error:
        warnings.warn(f"{error}; it goes on without", UntestedVersionWarning, stacklevel=2)
        return None


def _sentence(owner: Any, name: str, why: str) -> str:
    module, described = _described(owner)
    package = module.partition(".")[0]
    return f"{described} has no {name}, which rllib_recattn needs {why} ({tested_versions(package)})"


def _described(owner: Any) -> tuple[str, str]:
    """Return the module of an object, a class or a module, and how to call it; of our classes, those of their base."""
    if isinstance(owner, str | ModuleType):
        name = owner if isinstance(owner, str) else owner.__name__
        return name, f"module {name}"
    classes = owner.__mro__ if isinstance(owner, type) else type(owner).__mro__
    foreign = next((each for each in classes if not each.__module__.startswith("rllib_recattn")), classes[0])
    return foreign.__module__, f"{'.'.join(foreign.__module__.split('.')[:2])}'s {foreign.__name__}"
