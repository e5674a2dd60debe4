"""From what an experiment names by import path to what RLlib takes: connectors, learners and modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.learner.learner import Learner
from ray.rllib.core.rl_module.rl_module import RLModule

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.imports import ImportEntry, check_imports
from rllib_recattn.importing import import_class, import_creator, is_import_path
from rllib_recattn.scope import Scope

MODULE_CLASS = "module_class"
"""The setting for the class of the RLModule, which RLlib takes in a spec."""

_CONNECTORS = ("env_to_module_connector", "module_to_env_connector", "learner_connector")
CLASSES: dict[str, type] = {"learner_class": Learner, MODULE_CLASS: RLModule}
"""Those of the settings below that name one class, and what it should inherit from."""

IMPORTED = (*_CONNECTORS, *CLASSES)
"""The settings under ``config`` that are named by import path, on the new API stack."""


@dataclass(frozen=True)
class ConnectorFunction:
    """A connector function for an RLlib config that makes what an experiment names, in its order; survives pickling.

    Attributes:
        makers: Classes of pieces, called with their arguments alone, and functions, called with what RLlib hands to
            connector functions as well; each with its keyword arguments.
    """

    makers: tuple[tuple[Callable[..., Any], Mapping[str, Any]], ...]

    def __call__(self, *args: Any) -> list[ConnectorV2]:
        """Make the pieces."""
        pieces: list[ConnectorV2] = []
        for maker, arguments in self.makers:
            made = maker(**arguments) if isinstance(maker, type) else maker(*args, **arguments)
            pieces += made if isinstance(made, list | tuple) else [made]
        return pieces


def imported_setting(name: str, value: Any, where: str) -> Any:
    """Import what a setting names.

    Args:
        name: One of :data:`IMPORTED`.
        value: Its value, as plain data.
        where: File and key path of the setting.

    Returns:
        A class, or a connector function.

    Raises:
        SettingsError: If something cannot be imported, is of another kind, or does not take its arguments.
    """
    if name in _CONNECTORS:
        scope = Scope(where)
        entries = check_imports(value, "connector piece, or of a function that makes some", scope)
        scope.raise_problems()
        return ConnectorFunction(tuple((_connector(entry, where), entry.arguments) for entry in entries))
    if not isinstance(value, str) or not is_import_path(value):
        raise SettingsError(f"{where} = {value!r}: should be the path of a class, package.module:Class")
    return import_class(value, CLASSES[name], name.replace("_", " "), where)


def check_call(creator: Callable[..., Any], entry: ImportEntry, where: str) -> None:
    """Refuse arguments that something does not take.

    Raises:
        SettingsError: With what is wrong with them.
    """
    try:
        inspect.signature(creator).bind(**entry.arguments)
    except TypeError as error:
        name = getattr(creator, "__name__", entry.path)
        raise SettingsError(f"{where}: {name} cannot be called with these arguments: {error}") from None
    except ValueError:  # something whose signature nobody knows
        pass


def _connector(entry: ImportEntry, where: str) -> Callable[..., Any]:
    place = f"{where}.{entry.path}"
    found = import_creator(entry.path, "connector piece", where)
    if isinstance(found, type) and issubclass(found, ConnectorV2):
        check_call(found, entry, place)
        try:
            found(**entry.arguments)
        except Exception as error:  # whatever a foreign class raises
            raise SettingsError(f"{place}: cannot be made: {type(error).__name__}: {error}") from error
        return found
    if isinstance(found, type) or not callable(found):
        raise SettingsError(
            f"{where}: {entry.path!r}: should be a subclass of ray.rllib.connectors.ConnectorV2, or a function that is "
            "called as RLlib calls connector functions, and with the arguments"
        )
    return found
