"""Ray Tune's search domains among the arguments of `use_model`: each value that one may take is tried at once."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

from ray.tune.search.sample import Categorical, Domain, Float, Integer, Quantized

from rllib_recattn.errors import SettingsError

Path: TypeAlias = tuple[Any, ...]
"""Where a domain stands: keys of mappings and indices of lists."""

ResultT = TypeVar("ResultT")

_GRID = "grid_search"
_MOST_COMBINATIONS = 100
_LEFT_OUT = object()  # in the place of a domain whose values nobody can list: the default stands for them


def domains_in(arguments: Mapping[str, Any]) -> dict[Path, Any]:
    """Return the search domains among arguments, at any depth: ``ray.tune``'s and ``grid_search`` mappings."""
    return dict(_domains(arguments, ()))


def try_all(
    arguments: Mapping[str, Any], domains: Mapping[Path, Any], build: Callable[[dict[str, Any]], ResultT]
) -> ResultT:
    """Build what arguments ask for with all combinations of options and both ends of each range; return the first.

    Where the options have more than a hundred combinations, each is tried by itself, with the first ones of the others.

    Raises:
        SettingsError: What `build` raises, with the choices that lead to it.
    """
    if not domains:
        return build(dict(arguments))
    values = {path: _values(domain, path) for path, domain in domains.items()}
    first = {path: options[0] for path, options in values.items()}
    built = [_build(build, arguments, choices) for choices in _combinations(values, first)]
    return built[0]


def put(domain: Any, path: Path, target: Any) -> None:
    """Put a domain where a value of it stands in nested mappings and lists.

    Raises:
        SettingsError: If there is no such place.
    """
    try:
        for step in path[:-1]:
            target = target[step]
        if not isinstance(target, dict | list):
            raise TypeError
        target[path[-1]] = domain
    except (KeyError, IndexError, TypeError):
        raise SettingsError(
            f"use_model: {_name(path[1:])}: cannot be searched by itself; should be a domain of whole values, such as "
            "tune.choice([…])"
        ) from None


def with_options(domain: Any, change: Callable[[Any], Any]) -> Any:
    """Return a domain whose options, if it has any, are changed."""
    if isinstance(domain, Categorical):
        domain = copy.copy(domain)
        domain.categories = [change(option) for option in domain.categories]
    elif isinstance(domain, Mapping):
        domain = {_GRID: [change(option) for option in domain[_GRID]]}
    return domain


def _domains(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Domain) or (isinstance(value, Mapping) and list(value) == [_GRID]):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _domains(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _domains(item, (*path, index))


def _values(domain: Any, path: Path) -> list[Any]:
    if isinstance(domain, Categorical | Mapping):
        options = domain.categories if isinstance(domain, Categorical) else domain[_GRID]
        if not isinstance(options, list | tuple) or not options:
            raise SettingsError(f"use_model: {_name(path)}: should have a list of values to choose from")
        return list(options)
    if isinstance(domain, Integer | Float) and math.isfinite(domain.lower) and math.isfinite(domain.upper):
        whole = isinstance(domain, Integer)
        lower, upper = (domain.lower, domain.upper) if whole else (float(domain.lower), float(domain.upper))
        if not isinstance(domain.sampler, Quantized):  # else Tune draws the upper end as well
            upper = upper - 1 if whole else math.nextafter(upper, lower)
        return [lower, upper]
    return [_LEFT_OUT]


def _combinations(values: Mapping[Path, list[Any]], first: Mapping[Path, Any]) -> Iterator[Mapping[Path, Any]]:
    if math.prod(map(len, values.values())) <= _MOST_COMBINATIONS:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))
        return
    yield first
    for path, options in values.items():
        yield from ({**first, path: option} for option in options[1:])


def _build(
    build: Callable[[dict[str, Any]], ResultT], arguments: Mapping[str, Any], choices: Mapping[Path, Any]
) -> ResultT:
    try:
        return build(_chosen(arguments, (), choices))
    except SettingsError as error:
        listed = {path: choice for path, choice in choices.items() if choice is not _LEFT_OUT}
        if not listed:
            raise
        said = ", ".join(f"{_name(path)} = {choice!r}" for path, choice in listed.items())
        raise SettingsError(f"{error} (with {said})") from error


def _chosen(value: Any, path: Path, choices: Mapping[Path, Any]) -> Any:
    if path in choices:
        return choices[path]
    if isinstance(value, Mapping):
        chosen = {key: _chosen(item, (*path, key), choices) for key, item in value.items()}
        return {key: item for key, item in chosen.items() if item is not _LEFT_OUT}
    if isinstance(value, list | tuple):
        items = [_chosen(item, (*path, index), choices) for index, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    return value


def _name(path: Path) -> str:
    return ".".join(map(str, path))
