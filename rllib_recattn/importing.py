"""Import what a user names in a setting, by one rule for everything that can be named.

Environments, models, encoders, callbacks, connectors, learners and modules may lie in an installed package, in a folder
on PYTHONPATH, or beside the experiment's file, which comes last. Python's standard library is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rllib_recattn.errors import SettingsError

IMPORT_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*[.:][A-Za-z_]\w*$"
"""The form of ``package.module.Name`` and ``package.module:Name``."""

# Functions of these make nothing for an experiment; called with what a file says, some load code or start programs.
_LIBRARIES = frozenset(
    [
        *("PIL", "click", "cloudpickle", "fsspec", "joblib", "matplotlib", "numpy", "pandas", "pip", "pyarrow"),
        *("pydantic", "ray", "rich", "scipy", "setuptools", "torch", "yaml"),
    ]
)

_folder: str | None = None
_was_added = False
_further: list[str] = []


def make_importable(folder: Path) -> None:
    """Let modules be imported that lie in the folder of an experiment's file.

    It comes last on Python's path, so that no file hides what is installed, and takes the place of the folder of the
    experiment before. Modules of that one are forgotten if this one has others of their names.

    Args:
        folder: The folder.
    """
    global _folder, _was_added
    text = str(folder.absolute())
    if text == _folder and text in sys.path:
        return
    for before in [*([_folder] if _was_added else []), *_further]:
        if before in sys.path:
            sys.path.remove(before)
    _further.clear()
    if _folder is not None:
        _forget(Path(_folder), Path(text))
    _folder, _was_added = text, text not in sys.path
    if _was_added:
        sys.path.append(text)
    importlib.invalidate_caches()


def make_importable_too(folder: Path) -> None:
    """Let modules be imported that lie in a further folder, as of the run whose checkpoint an experiment begins with.

    Args:
        folder: The folder; without an experiment's, it takes the place of that.
    """
    text = str(folder.absolute())
    if _folder is None:
        make_importable(folder)
    elif text not in sys.path:
        sys.path.append(text)
        _further.append(text)
        importlib.invalidate_caches()


def importable_folders() -> list[str]:
    """Return the folders that this process was told of, of which others have to be told; the experiment's first."""
    return [*([] if _folder is None else [_folder]), *_further]


def require_findable(module: str, where: str) -> None:
    """Refuse a module whose package cannot be found, or is of Python's standard library, without importing it.

    Args:
        module: ``package.module``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If that is so.
    """
    package = module.partition(".")[0]
    _refuse_standard_library(package, where)
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise SettingsError(f"{where}: there is no package {package!r}; {_where_to_put()}")


def import_named(module: str, where: str) -> ModuleType:
    """Import a module of the user's.

    Args:
        module: ``package.module``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If it cannot be imported, whatever it raises, or is of Python's standard library: that holds
            nothing that a setting could mean, but modules that open a browser, a window or a program when imported.
    """
    _refuse_standard_library(module, where)
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a foreign module raises while it is imported
        reason = " ".join(str(error).split()) or type(error).__name__
        advice = f"; {_where_to_put()}" if isinstance(error, ModuleNotFoundError) else ""
        raise SettingsError(f"{where}: the module {module!r} cannot be imported: {reason}{advice}") from error


def _refuse_standard_library(module: str, where: str) -> None:
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise SettingsError(f"{where}: {module!r} is of Python's standard library, which holds nothing of the kind")


def import_object(path: str, kind: str, where: str) -> Any:
    """Import what a user names inside a module.

    Args:
        path: ``package.module.Name`` or ``package.module:Name``.
        kind: What it is, for the error message: ``environment``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If its module cannot be imported, or has nothing of the name.
    """
    name, module = name_in(path), import_named(module_of(path), f"{where}: {path!r}")
    if not hasattr(module, name):
        raise SettingsError(f"{where}: {path!r}: {_described(module)} has no {kind} {name!r}")
    return getattr(module, name)


def import_creator(path: str, kind: str, where: str) -> Any:
    """Import a class, or a function of the user's, that is called with what an experiment says.

    Args:
        path: ``package.module.Name`` or ``package.module:Name``.
        kind: What it makes, for the error message: ``environment``.
        where: What named it, for the error message.

    Raises:
        SettingsError: As :func:`import_object`; or if it is a function of one of the libraries that this package stands
            on, such as ``torch.hub.load``.
    """
    found = import_object(path, kind, where)
    package = module_of(path).partition(".")[0]
    if not isinstance(found, type) and package in _LIBRARIES:
        raise SettingsError(f"{where}: {path!r}: should be a class, or a function of your own, not one of {package}")
    return found


def import_class(path: str, base: type, kind: str, where: str) -> Any:
    """Import a class that a user names.

    Args:
        path: ``package.module.Class`` or ``package.module:Class``.
        base: What it should inherit from.
        kind: What it is, for the error message: ``environment``.
        where: What named it, for the error message.

    Raises:
        SettingsError: If its module cannot be imported, or has no such class.
    """
    module = import_named(module_of(path), f"{where}: {path!r}")
    found = getattr(module, name_in(path), None)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SettingsError(
            f"{where}: {path!r}: {_described(module)} has no {kind} {name_in(path)!r}, a subclass of "
            f"{base.__module__}.{base.__name__}"
        )
    return found


def is_import_path(text: str) -> bool:
    """Tell whether a string has the form ``package.module.Name`` or ``package.module:Name``."""
    return re.fullmatch(IMPORT_PATH, text) is not None


def module_of(path: str) -> str:
    """Return the module that a path names."""
    return path.partition(":")[0] if ":" in path else path.rpartition(".")[0]


def name_in(path: str) -> str:
    """Return what a path names inside its module."""
    return path.rpartition(":")[2] if ":" in path else path.rpartition(".")[2]


def _where_to_put() -> str:
    beside = f" {_folder}, beside the experiment's file," if _folder else " a folder on PYTHONPATH"
    return f"should be installed, or lie in{beside}{' or on PYTHONPATH' if _folder else ''}"


def _described(module: ModuleType) -> str:
    """Name a module, and where it lies if there is another of its name beside the experiment's file."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if _folder is None or file is None or not _lies_in(name, Path(_folder)) or _is_in(file, Path(_folder)):
        return repr(name)
    return f"{name!r} is {file}, not what lies in {_folder}, and"


def _forget(before: Path, now: Path) -> None:
    """Forget the modules of one folder whose names another has as well."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if "." not in name}
    for name, file in files.items():
        if file is not None and _is_in(file, before) and _lies_in(name, now):
            for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                del sys.modules[each]


def _lies_in(module: str, folder: Path) -> bool:
    top = module.partition(".")[0]
    return (folder / f"{top}.py").is_file() or (folder / top).is_dir()


def _is_in(file: str, folder: Path) -> bool:
    path = Path(file)
    return folder in (path.parent, path.parent.parent)
