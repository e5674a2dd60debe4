"""What an experiment names by import path, with arguments: callbacks and connectors. Nothing is imported here."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError
from rllib_recattn.importing import is_import_path, module_of, require_findable
from rllib_recattn.scope import Scope


class ImportEntry(Settings):
    """A class or a function, and what it is called with.

    Attributes:
        path: ``package.module:Name`` or ``package.module.Name``.
        arguments: Its keyword arguments, as plain data.
    """

    path: str
    arguments: dict[str, Any] = Field(default_factory=dict)


def check_imports(block: Any, kind: str, scope: Scope) -> tuple[ImportEntry, ...]:
    """Validate a list of paths as far as that goes without importing them.

    Args:
        block: ``package.module:Name``, or ``{package.module:Name: {argument: value}}``, or a list of these.
        kind: What they are, for error messages: ``class of callbacks``.
        scope: That of the list; gets a problem for each entry that is wrong.

    Returns:
        The entries that are right.
    """
    entries = block if isinstance(block, Sequence) and not isinstance(block, str) else [block]
    checked: list[ImportEntry] = []
    for index, entry in enumerate(entries):
        place = scope.item(index).where if entries is block else scope.where
        with scope.collect():
            found = _entry(entry, kind, place)
            require_findable(module_of(found.path), f"{place}: {found.path!r}")
            if found.path in (other.path for other in checked):
                raise SettingsError(f"{place}: {found.path!r} is there already; each class once")
            checked.append(found)
    return tuple(checked)


def _entry(entry: Any, kind: str, where: str) -> ImportEntry:
    path, arguments = entry, None
    if isinstance(entry, dict) and len(entry) == 1:
        ((path, arguments),) = entry.items()
    if not isinstance(path, str) or not is_import_path(path):
        raise SettingsError(
            f"{where} = {entry!r}: should be the path of a {kind}, package.module:Name, or "
            "{package.module:Name: {argument: value}}"
        )
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, dict) or not all(_is_name(key) for key in arguments):
        raise SettingsError(
            f"{where}.{path} = {arguments!r}: should be a mapping from the names of arguments to values"
        )
    return ImportEntry(path=path, arguments=arguments)


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)
