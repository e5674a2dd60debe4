"""Import what a user names in a setting."""

from __future__ import annotations

import importlib
from types import ModuleType

from rllib_recattn.errors import SettingsError


def import_named(module: str, where: str) -> ModuleType:
    """Import a module of the user's.

    Args:
        module: ``package.module``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If it cannot be imported, whatever it raises.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # whatever a foreign module raises while it is imported
        reason = " ".join(str(error).split()) or type(error).__name__
        advice = "; is it installed or on PYTHONPATH?" if isinstance(error, ModuleNotFoundError) else ""
        raise SettingsError(f"{where}: the module {module!r} cannot be imported: {reason}{advice}") from error
