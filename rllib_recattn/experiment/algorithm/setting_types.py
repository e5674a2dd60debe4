"""Check plain data against the type annotations of RLlib's config methods.

Most of RLlib's setters accept anything, and a string in place of a number surfaces hours later or never. Annotations
may name classes and functions beside plain types; what a YAML file can express is the plain part of them.
"""

from __future__ import annotations

import collections.abc
import types
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    dict: "a mapping",
    list: "a list",
}


def plain_part(annotation: Any) -> Any:
    """Reduce an annotation to what plain data can satisfy; None if nothing can.

    Tuples become lists, since that is what YAML has. Only a union can lose members.
    """
    if annotation is Any or annotation is type(None) or annotation in _WORDS:
        return annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        members = [part for part in map(plain_part, arguments) if part is not None]
        return Union[tuple(members)] if members else None  # noqa: UP007 (the members are known only here)
    if (origin or annotation) in (dict, collections.abc.Mapping):
        return _generic(dict, arguments)
    if (origin or annotation) in (list, tuple, collections.abc.Sequence, collections.abc.Collection):
        elements = tuple(argument for argument in arguments if argument is not ...)
        return _generic(list, (Union[elements],) if elements else ())  # noqa: UP007
    return None


def can_be_written(annotation: Any) -> bool:
    """Tell whether any plain data but null satisfies an annotation."""
    return plain_part(annotation) not in (None, type(None))


def matches(value: Any, annotation: Any) -> bool:
    """Tell whether plain data satisfies the plain part of an annotation; no string counts as a number."""
    try:
        _adapter(plain_part(annotation)).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def describe(annotation: Any, null: bool) -> str:
    """Say what is expected: ``a number, a list or null``.

    Args:
        annotation: The expected type.
        null: Whether null is right as well.
    """
    plain = plain_part(annotation)
    members = get_args(plain) if get_origin(plain) in (Union, types.UnionType) else (plain,)
    containers_and_scalars = dict.fromkeys(get_origin(member) or member for member in members)
    if float in containers_and_scalars:
        containers_and_scalars.pop(int, None)  # a whole number is a number
    words = [_WORDS[member] for member in containers_and_scalars if member in _WORDS]
    if any(_is_schedule(member) for member in members):
        words[words.index(_WORDS[list])] = "a list [[step, value], …]"
    words += ["null"] if null else []
    if not words:
        return "a value"
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _is_schedule(plain: Any) -> bool:
    return get_origin(plain) is list and all(get_origin(element) is list for element in get_args(plain))


def _generic(container: Any, arguments: tuple[Any, ...]) -> Any:
    plain = tuple(plain_part(argument) for argument in arguments)
    if any(part is None for part in plain):
        return None
    return container[plain] if plain else container


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
