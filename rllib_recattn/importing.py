"""Import what a user names in a setting."""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType
from typing import Any

from rllib_recattn.errors import SettingsError


def import_named(module: str, where: str) -> ModuleType:
    """Import a module of the user's.

    Args:
        module: ``package.module``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If it cannot be imported, whatever it raises, or is of Python's standard library: that holds
            nothing that a setting could mean, but modules that open a browser, a window or a program when imported.
    """
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise SettingsError(f"{where}: {module!r} is of Python's standard library, which holds nothing of the kind")
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a foreign module raises while it is imported
        reason = " ".join(str(error).split()) or type(error).__name__
        advice = "; is it installed or on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        raise SettingsError(f"{where}: the module {module!r} cannot be imported: {reason}{advice}") from error


def import_class(path: str, base: type, kind: str, where: str) -> Any:
    """Import a class that a user names.

    Args:
        path: ``package.module.Class``.
        base: What it should inherit from.
        kind: What it is, for the error message: ``environment``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If its module cannot be imported, or has no such class.
    """
    module, _, name = path.rpartition(".")
    found = getattr(import_named(module, f"{where}: {path!r}"), name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        wanted = f"{base.__module__.partition('.')[0]}.{base.__name__}"
        raise SettingsError(f"{where}: {path!r}: {module!r} has no {kind} {name!r}, a subclass of {wanted}")
    return found


def is_class_path(text: str) -> bool:
    """Tell whether a text has the form ``package.module.Class``."""
    return re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", text) is not None
