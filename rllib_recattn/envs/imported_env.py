"""Environments that are named by the path of a class or of a function that makes them, and how these are called."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import gymnasium

from rllib_recattn.errors import SettingsError
from rllib_recattn.importing import import_creator, name_in

# Names of arguments that mean all settings of an environment at once.
_ALL_SETTINGS = re.compile(r"_*(\w*(config|cfg|context|ctx)\w*|conf|settings|options|params|parameters|kwargs)")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class ImportedEnv:
    """A class, as RLlib wants it, whose call with one mapping of settings makes an environment that has another form.

    Attributes:
        path: Of the class or the function that makes it.
    """

    path: ClassVar[str]

    def __new__(cls, config: Mapping[str, Any] | None = None) -> Any:
        """Make the environment."""
        return call(find_creator(cls.path, cls.path), config or {})


def find_creator(path: str, where: str) -> Callable[..., Any]:
    """Import a class of environments, or a function that makes one.

    Args:
        path: ``package.module:Name`` or ``package.module.Name``.
        where: File and key path, for error messages.

    Raises:
        SettingsError: If it cannot be imported, or is neither.
    """
    creator = import_creator(path, "environment", where)
    if isinstance(creator, type) and not issubclass(creator, gymnasium.Env | ImportedEnv):
        raise SettingsError(f"{where}: {path!r}: should be a subclass of gymnasium.Env, or a function that makes one")
    if not callable(creator):
        raise SettingsError(
            f"{where}: {path!r}: should be a class of environments, or a function that makes one, and is "
            f"of type {type(creator).__name__}"
        )
    return creator


def class_for_rllib(path: str, settings: Mapping[str, Any], where: str) -> Callable[[Any], Any]:
    """Return the class that RLlib makes environments from.

    Args:
        path: What :func:`find_creator` imports.
        settings: The environment's settings.
        where: File and key path, for error messages.

    Returns:
        The class itself if it takes its settings as one mapping, as RLlib hands them over.
    """
    creator = find_creator(path, where)
    if isinstance(creator, type) and takes_mapping(creator, settings):
        return creator
    return _class_of(path)


def call(creator: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """Make an environment: with one mapping, or with keyword arguments, as its signature asks for."""
    return creator(settings) if takes_mapping(creator, settings) else creator(**settings)


def takes_mapping(creator: Callable[..., Any], settings: Mapping[str, Any]) -> bool:
    """Tell whether a class or function takes all settings of an environment as one mapping, as RLlib hands them over.

    It does so if the first argument is called ``config``, ``env_context`` or similar, is declared as a mapping, or is a
    mapping by default, and all others can be left out; also if nothing is said of the first, which has to be given.
    All others take keyword arguments, as ``gymnasium.make`` hands them over.
    """
    parameters = parameters_of(creator)
    if parameters is None:
        return True
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    if not positional:
        return any(each.kind is each.VAR_POSITIONAL for each in parameters)
    first, *others = positional
    others += [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    if any(each.default is each.empty for each in others) or first.name in settings:
        return False
    says_nothing = first.default is first.empty and first.annotation is first.empty
    return says_nothing or _means_mapping(first)


def parameters_of(creator: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return what a class or function can be called with; None if that cannot be known.

    What a class only hands on, with ``*args`` and ``**kwargs``, is looked up in those that it inherits from.
    """
    try:
        parameters = list(inspect.signature(creator).parameters.values())
    except (TypeError, ValueError):
        return None
    if isinstance(creator, type) and parameters and all(each.kind in _VARIABLE for each in parameters):
        for base in creator.__mro__[1:-1]:
            if "__init__" in vars(base):
                inherited = list(inspect.signature(base).parameters.values())
                if any(each.kind not in _VARIABLE for each in inherited):
                    return inherited
    return parameters


def _means_mapping(parameter: inspect.Parameter) -> bool:
    if isinstance(parameter.default, Mapping):
        return True
    declared = str(parameter.annotation).lower()
    if parameter.annotation is not parameter.empty and ("dict" in declared or "mapping" in declared):
        return True
    return "envcontext" in declared or _ALL_SETTINGS.fullmatch(parameter.name.lower()) is not None


@functools.cache
def _class_of(path: str) -> type:
    # It has no code of its own, so that it is written into checkpoints by its path alone.
    return type(name_in(path), (ImportedEnv,), {"path": path, "__doc__": f"Makes environments with {path}."})
