"""The error for settings that users write, and the phrases that make it helpful.

Everything that a user can write (keyword arguments of ``use_model``, YAML, the command line) is refused through
:class:`SettingsError`, with the key, the value and what would be right, before anything starts.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

_LONGEST_WORD = 300  # longer than the name of a file can be
_LONGEST_LINE = 600
_LONGEST_MESSAGE = 1900


class SettingsError(ValueError):
    """A setting is wrong. The message names the key, the value and what would be right.

    Whatever users write is repeated in messages, hence those are made :func:`readable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


class SettingsWarning(UserWarning):
    """A setting gives way to another one, or has no effect; the message names it and what to write instead."""

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


class Settings(BaseModel):
    """Base of all settings: unknown keys, wrong types and later changes are errors, nothing is coerced.

    Numbers are finite, unless a subclass says otherwise.

    Attributes:
        former: By the name of a setting that there was in earlier versions, why it is to be left out.
        unstated: What records, which state all settings, mean by one that they do not state: what it was before there
            was a choice. Without those whose default is still that.
    """

    former: ClassVar[Mapping[str, str]] = MappingProxyType({})
    unstated: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def suggest(name: str, valid: Iterable[str]) -> str:
    """Say which of the valid names the given one may have meant, or list them all when none is near.

    Args:
        name: What the user wrote.
        valid: The names that would have been right.

    Returns:
        Half a sentence for the end of an error message, e.g. ``did you mean 'n_heads'?``.
    """
    options = sorted(valid)
    near = difflib.get_close_matches(name, options, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(repr(option) for option in near) + "?"
    return "valid are: " + ", ".join(options)


def validate(schema: type[SettingsT], values: Mapping[str, Any], where: str) -> SettingsT:
    """Build `schema` from what a user wrote.

    Args:
        schema: The pydantic model that describes the settings.
        values: The user's values. NumPy scalars count as the Python numbers that they hold.
        where: What the values belong to, for the message: a file and key path, or a function's name.

    Returns:
        The validated settings.

    Raises:
        SettingsError: With one line for each thing that is wrong.
    """
    try:
        return schema.model_validate({key: _python_number(value) for key, value in values.items()})
    except ValidationError as error:
        lines = [_explain(problem, schema, where) for problem in error.errors()]
        raise SettingsError("\n".join(lines)) from None


def readable(message: str) -> str:
    """Return a message that repeats what a user wrote, at a length that can be read.

    The middle of long numbers, of other long words and of long lines is left out, and so is the end of a long list of
    lines; characters that cannot be printed are written as escapes.
    """
    lines = [_short("".join(map(_printable, line))) for line in message.split("\n")]
    kept = len(lines)
    while len("\n".join(lines[:kept])) > _LONGEST_MESSAGE:
        kept -= 1
    return "\n".join([*lines[:kept], *([f"… and {len(lines) - kept} more"] if kept < len(lines) else [])])


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _short(line: str) -> str:
    line = re.sub(rf"[^\s/\\.,:;'\"()\[\]{{}}]{{{_LONGEST_WORD + 1},}}", _short_word, line)
    if len(line) <= _LONGEST_LINE:
        return line
    end = _LONGEST_LINE // 3  # where messages say what would be right
    return f"{line[: _LONGEST_LINE - end - 3]} … {line[-end:]}"


def _short_word(match: re.Match[str]) -> str:
    word = match[0]
    what = "digits" if word.isdecimal() else "characters"
    return f"{word[:20]}…{word[-10:]} ({len(word)} {what})"


def shown(value: Any) -> str:
    """Return ``repr(value)``, which Python refuses for numbers of thousands of digits, and for what holds them."""
    try:
        return repr(value)
    except ValueError:
        return f"{type(value).__name__} of more than {sys.get_int_max_str_digits()} digits"


def is_number(value: Any) -> bool:
    """Whether a value is a number to reckon with: finite, within a float's range, and neither True nor False."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # of whole numbers alone
        return False


def _python_number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _explain(problem: Any, schema: type[BaseModel], where: str) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, name = problem["loc"]
        if not parents and name in getattr(schema, "former", ()):
            return f"{where}: {key} = {shown(problem['input'])}: {schema.former[name]}"  # type: ignore[attr-defined]
        return f"{where}: unknown setting {key!r}: {suggest(str(name), _fields_at(schema, parents))}"
    if problem["type"] == "missing":
        return f"{where}: the setting {key!r} is missing"
    if problem["type"] == "value_error" and isinstance(problem["ctx"]["error"], SettingsError):
        return f"{where}: {problem['ctx']['error']}"  # names its own key and value
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    subject = f"{key} = {shown(problem['input'])}" if key else shown(problem["input"])
    return f"{where}: {subject}: {message}"


def _fields_at(schema: type[BaseModel], loc: Iterable[Any]) -> Iterable[str]:
    """Return the names that are valid at a place inside nested settings."""
    for part in loc:
        field = schema.model_fields.get(part)
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        schema = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), schema)
    return schema.model_fields


# How much less like the name than the nearest one a suggestion may be.
_AS_GOOD = 0.1


def suggest_among_many(name: str, valid: Collection[str], otherwise: str) -> str:
    """Say which of many valid names the given one may have meant.

    Args:
        name: What the user wrote.
        valid: The names that would have been right.
        otherwise: What to say when none of them is near.

    Returns:
        Half a sentence for the end of an error message.
    """
    near = difflib.get_close_matches(name, valid)
    if not near:
        return otherwise
    likeness = {other: difflib.SequenceMatcher(None, other, name).ratio() for other in near}
    return suggest(name, [other for other in near if likeness[other] > likeness[near[0]] - _AS_GOOD])
