"""One search domain: its kind, its arguments or options, and what Ray Tune gets to see of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, is_number, shown, suggest

CATEGORICAL = ("grid_search", "choice")
SEEDS = "seeds"
"""The kind of the domain that gives each sample of an experiment with a seed one of its own; nobody writes it."""

DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "uniform": ("lower", "upper"),
    "quniform": ("lower", "upper", "q"),
    "loguniform": ("lower", "upper"),
    "qloguniform": ("lower", "upper", "q"),
    "randint": ("lower", "upper"),
    "qrandint": ("lower", "upper", "q"),
    "lograndint": ("lower", "upper"),
    "qlograndint": ("lower", "upper", "q"),
    "randn": ("mean", "sd"),
    "qrandn": ("mean", "sd", "q"),
}

KINDS = (*CATEGORICAL, *DISTRIBUTIONS)
"""The words in which Ray Tune writes domains; ``sample_from``, which runs code, is none of them."""

_LONGEST_LABEL = 60
_FAR = 3  # standard deviations from the mean of a normal distribution, beyond which 0.3 % of its values lie


class Domain(Settings):
    """What a value is chosen from.

    Attributes:
        kind: Ray Tune's name of the distribution, or `SEEDS`.
        options: What ``grid_search`` and ``choice`` choose from, any plain data; empty for the other kinds.
        arguments: The arguments of the distribution of the other kinds.
    """

    kind: str
    options: list[Any] = Field(default_factory=list)
    arguments: dict[str, int | float] = Field(default_factory=dict)

    @property
    def is_categorical(self) -> bool:
        """Whether it has options rather than a range."""
        return self.kind in (*CATEGORICAL, SEEDS)

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return "randint" in self.kind

    @property
    def first(self) -> Any:
        """The value of the first variant: the first option, the lower end of a range, or the mean."""
        return self.probes[0]

    @property
    def probes(self) -> list[Any]:
        """The values with which an experiment is tried before it starts: all options, or both ends of a range.

        A normal distribution has no ends: three standard deviations stand for them.
        """
        if self.is_categorical:
            return list(self.options)
        if "mean" in self.arguments:
            mean, sd = self.arguments["mean"], self.arguments["sd"]
            return [self.near(value) for value in (mean, mean - _FAR * sd, mean + _FAR * sd)]
        lower, upper = self.bounds
        return [lower, upper]

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value of a range."""
        lower, upper = self.arguments["lower"], self.arguments["upper"]
        if not self.is_whole:
            return float(lower), float(upper)
        # Ray Tune leaves out the upper end of whole numbers, but not if they are multiples of something.
        return int(lower), int(upper) - (0 if "q" in self.arguments else 1)

    @property
    def labels(self) -> list[Any]:
        """What Ray Tune chooses from: the options themselves where all are of one simple type, else short strings."""
        return _labels(self.options)

    def value_of(self, choice: Any, key_path: str = "") -> Any:
        """Turn what Ray Tune chose into a value.

        Args:
            choice: A label, or a number from the range.
            key_path: Where the domain stands, for the message.

        Raises:
            SettingsError: If there is no option of this label.
        """
        if not self.is_categorical:
            return int(choice) if self.is_whole else float(choice)
        labels = self.labels
        if choice not in labels:
            raise SettingsError(f"{key_path}: there is no option {choice!r}; there are {labels}")
        return self.options[labels.index(choice)]

    def near(self, value: float) -> float:
        """Return the value of the range that lies next to a number."""
        q = self.arguments.get("q")
        if q is not None:
            value = round(value / q) * q
        if "lower" in self.arguments:
            lower, upper = self.bounds
            value = min(max(value, lower), upper)
        return round(value) if self.is_whole else float(value)


def parse_domain(kind: str, argument: Any, where: str) -> Domain:
    """Validate a search domain.

    Args:
        kind: One of `KINDS`.
        argument: What the user wrote below it: a list, or for a range a mapping with the names of its arguments.
        where: File and key path of the domain.

    Returns:
        The domain.

    Raises:
        SettingsError: With what is wrong and what would be right.
    """
    where = f"{where}.{kind}"
    return _categorical(kind, argument, where) if kind in CATEGORICAL else _numeric(kind, argument, where)


def _categorical(kind: str, options: Any, where: str) -> Domain:
    if not isinstance(options, list) or not options:
        raise SettingsError(f"{where} = {options!r}: should be a list of the values to choose from")
    for index, option in enumerate(options):
        if option in options[:index]:
            raise SettingsError(f"{where}: the option {option!r} is given twice")
    return Domain(kind=kind, options=options)


def _numeric(kind: str, argument: Any, where: str) -> Domain:
    names = DISTRIBUTIONS[kind]
    form = f"should be [{', '.join(names)}]"
    if isinstance(argument, Mapping):
        for name in argument:
            if name not in names:
                raise SettingsError(f"{where}: unknown argument {name!r}: {suggest(str(name), names)}")
    elif isinstance(argument, list) and len(argument) <= len(names):
        argument = dict(zip(names, argument, strict=False))
    else:
        raise SettingsError(f"{where} = {argument!r}: {form}")
    missing = [name for name in names if name not in argument]
    if missing:
        raise SettingsError(f"{where} = {_as_list(argument)}: {missing[0]} is missing; {form}")
    numbers = {name: _number(argument[name], f"{where}: {name}", "randint" in kind) for name in names}
    _check_range(kind, numbers, where)
    return Domain(kind=kind, arguments=numbers)


def _as_list(argument: Mapping[str, Any]) -> str:
    return f"[{', '.join(map(repr, argument.values()))}]"


def _number(value: Any, where: str, whole: bool) -> int | float:
    if not is_number(value):
        raise SettingsError(f"{where} = {shown(value)}: should be a number")
    if not whole:
        return value
    if value != int(value):
        raise SettingsError(f"{where} = {value!r}: should be a whole number")
    return int(value)


def _check_range(kind: str, numbers: Mapping[str, int | float], where: str) -> None:
    q = numbers.get("q")
    if q is not None and q <= 0:
        raise SettingsError(f"{where}: q = {q!r}: should be greater than 0")
    if "sd" in numbers:
        if numbers["sd"] <= 0:
            raise SettingsError(f"{where}: sd = {numbers['sd']!r}: should be greater than 0")
        return
    lower, upper = numbers["lower"], numbers["upper"]
    if lower >= upper:
        raise SettingsError(f"{where}: lower = {lower!r}: should be less than upper = {upper!r}")
    if "log" in kind and lower <= 0:
        raise SettingsError(f"{where}: lower = {lower!r}: should be greater than 0, for its logarithm")
    for name in ("lower", "upper"):
        if q is not None and not math.isclose(numbers[name] / q, round(numbers[name] / q), abs_tol=1e-9):
            raise SettingsError(f"{where}: {name} = {numbers[name]!r}: should be a multiple of q = {q!r}")


def _labels(options: Sequence[Any]) -> list[Any]:
    for simple in (bool, str):
        if all(isinstance(option, simple) for option in options):
            return list(options)
    if all(isinstance(option, int | float) and not isinstance(option, bool) for option in options):
        return list(options)
    labels: list[str] = []
    for option in options:
        label = _label(option, options)
        label = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
        twins = sum(other == label or other.startswith(f"{label} #") for other in labels)
        labels.append(f"{label} #{twins + 1}" if twins else label)
    return labels


def _label(option: Any, options: Sequence[Any]) -> str:
    """Name an option: a block by its name, and by what it sets otherwise than the other blocks of this name."""
    if not isinstance(option, dict):
        return option if isinstance(option, str) else json.dumps(option, ensure_ascii=False)
    name = option.get("name")
    namesakes = [other for other in options if isinstance(other, dict) and other.get("name") == name]
    differing = [
        f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in option.items()
        if key != "name" and any(other.get(key) != value or key not in other for other in namesakes)
    ]
    words = [str(name)] if name is not None else []
    if len(namesakes) > 1 or name is None:
        words += differing
    return " ".join(words) or "{}"
