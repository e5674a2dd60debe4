"""Read a YAML file as plain data: YAML 1.2 numbers and booleans, no duplicate keys, no Python objects.

PyYAML follows YAML 1.1, which surprises people who write experiments: it takes ``1e-3`` for a string, ``on``
and ``no`` for booleans, ``010`` for eight and ``1:30`` for ninety, and lets the last of two equal keys win.
Here the scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), plus
``_`` between the digits of a number. Anchors, aliases and merges (``<<``) work as usual.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import yaml

from rllib_recattn.errors import SettingsError

MAX_VALUES = 100_000
"""The most values that a file may hold once its aliases are written out."""

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_BOOLEANS = {"true": True, "false": False}


class _Loader(yaml.SafeLoader):
    """Knows the core schema's tags and no others, so that nothing but plain data can come out."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML declares it per class and per instance)
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}


class _Refusal(yaml.MarkedYAMLError):
    """What this reader refuses although it is well-formed YAML."""


def _resolve(tag: str, pattern: str, first_characters: Iterable[str]) -> None:
    _Loader.add_implicit_resolver(_TAG + tag, re.compile(rf"^(?:{pattern})$"), list(first_characters))


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("int", "[-+]?[0-9](?:_?[0-9])*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:\.[0-9]+|[0-9](?:_?[0-9])*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+.0123456789",
)
_resolve("null", "~|null|Null|NULL|", ["~", "n", "N", ""])
_resolve("merge", "<<", "<")


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    try:
        return int(text, base)
    except ValueError:
        reason = "has too many digits for a number" if text.lstrip("+-").isdecimal() else "is no whole number"
        raise _at(node, f"{text!r} {reason}") from None


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    try:
        value = float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    except ValueError:
        raise _at(node, f"{text!r} is no number") from None
    if math.isnan(value):
        raise _at(node, f"{text} (not a number) is no valid value for a setting")
    return value


def _boolean(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = loader.construct_scalar(node)
    if text.lower() not in _BOOLEANS:
        raise _at(node, f"{text!r} is neither true nor false")
    return _BOOLEANS[text.lower()]


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _at(node, "expected a mapping")
    loader.flatten_mapping(node)
    return yaml.constructor.BaseConstructor.construct_mapping(loader, node, deep=True)


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node, deep=True)


def _unknown_tag(loader: _Loader, node: yaml.Node) -> None:
    raise _at(node, f"the tag {node.tag!r} is not allowed: only plain data may stand in an experiment")


for _name, _construct in {
    "null": lambda loader, node: None,
    "bool": _boolean,
    "int": _integer,
    "float": _float,
    "str": lambda loader, node: loader.construct_scalar(node),
    "seq": _sequence,
    "map": _mapping,
}.items():
    _Loader.add_constructor(_TAG + _name, _construct)
_Loader.add_constructor(None, _unknown_tag)


class _Dumper(yaml.SafeDumper):
    """Puts quotes around what the loader would not take for a string."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        """Write out what stands in several places."""
        return True


def read_yaml(path: Path) -> Any:
    """Read the one YAML document that a file holds.

    Args:
        path: The file; UTF-8.

    Returns:
        Dictionaries, lists, strings, numbers, booleans and None.

    Raises:
        SettingsError: If there is no such file, it is empty or it is no valid YAML of plain data. The message
            names the file and, where there is one, the line and column.
    """
    return parse_yaml(_read_text(path), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Read one YAML document, which may be JSON.

    Args:
        text: The document.
        where: What the document is, for error messages.

    Returns:
        Dictionaries, lists, strings, numbers, booleans and None.

    Raises:
        SettingsError: If the text is empty or no valid YAML of plain data.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise SettingsError(f"{where}: empty; expected YAML")
        _check(node, on_path=[], sizes={})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise SettingsError(_explain(where, error)) from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"{where}: not valid YAML: {reason}") from None
    except RecursionError:
        raise SettingsError(f"{where}: not valid YAML: nested too deeply") from None


def dump_yaml(data: Any) -> str:
    """Write plain data so that :func:`parse_yaml` reads the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _read_text(path: Path) -> str:
    if path.suffix == ".py":
        raise SettingsError(f"{path}: a Python file, not YAML; run it with `python {path}`")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: a directory; expected a YAML file") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not a text file in UTF-8: byte {error.start} is invalid") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _check(node: yaml.Node, on_path: list[yaml.Node], sizes: dict[yaml.Node, int]) -> int:
    """Refuse duplicate keys, values that contain themselves, and aliases that multiply beyond measure.

    Returns the number of values below `node`, counting each alias as if its target were written out.
    """
    if node in sizes:
        return sizes[node]
    if node in on_path:
        raise _at(node, "this value contains itself")
    on_path.append(node)
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_check(item, on_path, sizes) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
        size += sum(_check(part, on_path, sizes) for pair in node.value for part in pair)
    if size > MAX_VALUES:
        raise _at(node, f"more than {MAX_VALUES} values once the aliases are written out")
    on_path.pop()
    sizes[node] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    first_line: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _at(key, "a key must be a string or a number")
        if key.tag == _MERGE:
            continue
        identity = (key.tag, key.value)
        if identity in first_line:
            raise _at(key, f"duplicate key {key.value!r}, first used in line {first_line[identity]}")
        first_line[identity] = key.start_mark.line + 1


def _at(node: yaml.Node, problem: str) -> _Refusal:
    return _Refusal(problem=problem, problem_mark=node.start_mark)


def _explain(where: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    if mark:
        where = f"{where}, line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, _Refusal):
        return f"{where}: {error.problem}"
    problem = error.problem or error.context or "malformed"
    if "\\t" in problem:
        return f"{where}: not valid YAML: indent with spaces, not with tabs"
    context = f"{error.context}: " if error.context and error.context != problem else ""
    return f"{where}: not valid YAML: {context}{problem}"
