"""Callbacks by the paths of their classes, in installed packages; nothing is imported here."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError
from rllib_recattn.experiment.definition.problems import Problems
from rllib_recattn.importing import is_import_path
from rllib_recattn.installed import require_installed


class CallbackEntry(Settings):
    """One of an experiment's callbacks.

    Attributes:
        path: ``package.module.Class``, a subclass of RLlib's ``RLlibCallback``.
        arguments: What the class is called with, as plain data.
    """

    path: str
    arguments: dict[str, Any] = Field(default_factory=dict)


def check_callbacks(block: Any, where: str, problems: Problems) -> tuple[CallbackEntry, ...]:
    """Validate a list of callbacks as far as that goes without importing them.

    Args:
        block: ``package.module.Class``, or ``{package.module.Class: {argument: value}}``, or a list of these.
        where: File and key path of the list.
        problems: Gets a line for each entry that is wrong.

    Returns:
        The entries that are right.
    """
    entries = block if isinstance(block, Sequence) and not isinstance(block, str) else [block]
    checked: list[CallbackEntry] = []
    for index, entry in enumerate(entries):
        place = f"{where}[{index}]" if entries is block else where
        with problems.collect():
            found = _entry(entry, place)
            require_installed(found.path.rpartition(".")[0], f"{place}: {found.path!r}")
            if found.path in (other.path for other in checked):
                raise SettingsError(f"{place}: {found.path!r} is there already; each class once")
            checked.append(found)
    return tuple(checked)


def _entry(entry: Any, where: str) -> CallbackEntry:
    path, arguments = entry, None
    if isinstance(entry, dict) and len(entry) == 1:
        ((path, arguments),) = entry.items()
    if not isinstance(path, str) or not is_import_path(path):
        raise SettingsError(
            f"{where} = {entry!r}: should be the path of a class of callbacks, package.module.Class, or "
            "{package.module.Class: {argument: value}}"
        )
    arguments = {} if arguments is None else arguments
    if not isinstance(arguments, dict) or not all(_is_name(key) for key in arguments):
        raise SettingsError(
            f"{where}.{path} = {arguments!r}: should be a mapping from the names of arguments to values"
        )
    return CallbackEntry(path=path, arguments=arguments)


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)
