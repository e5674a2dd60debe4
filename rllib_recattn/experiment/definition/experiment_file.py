"""The one experiment that a file holds: its name and its content, not validated yet."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.yaml_file import read_yaml
from rllib_recattn.scope import Scope

_LONGEST_NAME = 200  # in bytes: file systems allow 255, and the time of a run's beginning follows


def read_experiment_file(path: Path, known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Read a file that maps the name of one experiment to its content.

    Args:
        path: A YAML file.
        known: The keys that an experiment may have.

    Returns:
        The name, which can name a directory, and the content, without known keys whose value is null.

    Raises:
        SettingsError: If the file cannot be read or holds anything else.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise SettingsError(
            f"{path}: expected a mapping from the experiment's name to its settings, found {_kind(data)}"
        )
    if isinstance(data.get("run"), str) or isinstance(data.get("env"), str):
        raise SettingsError(
            f"{path}: the experiment has no name: write `name:` in the first line and indent all the rest below it"
        )
    if len(data) != 1:
        names = ", ".join(str(name) for name in data) or "none"
        raise SettingsError(
            f"{path}: expected one experiment, found {len(data)}: {names}; write each into a file of its own"
        )
    ((name, content),) = data.items()
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w .+=-]*", name):
        raise SettingsError(
            f"{path}: the experiment's name, {name!r}, should be a string that can name a directory: letters, digits, "
            "'-', '_' and '.'"
        )
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise SettingsError(
            f"{path}: the experiment's name, {name[:20]!r}…, is too long to name a directory: {len(os.fsencode(name))} "
            f"bytes, should be at most {_LONGEST_NAME}"
        )
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: {name}: expected a mapping with 'run', 'env' and so on, found {_kind(content)}")
    # A key whose values are all commented out is as good as absent.
    return name, {key: value for key, value in content.items() if value is not None or key not in known}


def is_block(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether a value is a mapping whose keys are strings."""
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _kind(value: Any) -> str:
    return {list: "a list", str: "a string", type(None): "nothing"}.get(type(value), repr(value))


BLOCKS = ("stop", "config", "model", "multi_agent", "checkpoint", "logging", "tune")

_EXAMPLES = {"stop": "{training_iteration: 100}", "model": "{name: agalite}"}


def without_wrong_blocks(content: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Leave out the blocks of an experiment that are none.

    Args:
        content: The experiment.
        scope: That of the experiment; gets a problem for each of them.

    Returns:
        The rest.
    """
    wrong = {key: value for key, value in content.items() if key in BLOCKS and not is_block(value)}
    for key, value in wrong.items():
        say_what_is_wrong(key, value, scope)
    return {key: value for key, value in content.items() if key not in wrong}


def say_what_is_wrong(key: str, value: Any, scope: Scope) -> None:
    """Add the problem with a value that should be a mapping from strings, and is not."""
    if isinstance(value, Mapping):
        for each in value:
            if not isinstance(each, str):
                scope.at(key).problem(f"the key {each!r} should be a string")
        return
    example = f"{{name: {value}}}" if key == "model" and isinstance(value, str) else _EXAMPLES.get(key)
    of = f", e.g. {example}" if example else ""
    scope.wrong(key, value, f"should be a mapping{of}")
