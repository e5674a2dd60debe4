"""Search domains: values that Ray Tune is to choose, written as ``lr: {loguniform: [1e-5, 1e-3]}``.

A domain stands in the place of a value, anywhere inside the blocks ``model`` and ``config``, or of such a block itself,
or of the environment's id.
Each has a key path, ``config.lr`` or ``config.entropy_coeff[1][0]``, under which its choices are found everywhere.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rllib_recattn.experiment.definition.domain import CATEGORICAL, KINDS, SEEDS, Domain, parse_domain
from rllib_recattn.scope import Scope

BLOCKS = ("env", "model", "config")
"""What can be searched for in an experiment: its environment, and values inside these blocks."""

SEED = "config.seed"

_WORDS = frozenset([*KINDS, "sample_from"])
_SEPARATORS = re.compile(r"[./\[\]]")


def find_domains(content: Mapping[str, Any], scope: Scope) -> dict[str, Domain]:
    """Find the search domains of an experiment.

    Args:
        content: The experiment, as the user wrote it.
        scope: That of the experiment; gets a problem for each domain that is wrong or stands where none may.

    Returns:
        Key path → domain, in the order of the file.
    """
    space: dict[str, Domain] = {}
    for block, value in content.items():
        for key_path, keys, word, argument in _domains_in(value, block):
            place = scope.at(key_path)
            if word == "sample_from":
                place.problem(f"sample_from runs code, which no experiment may; write one of {_listed()}")
            elif block not in BLOCKS:
                place.problem(f"{word}: {_why_not(block, keys)}")
            elif block == "env" and not (word in CATEGORICAL and _are_texts(argument)):
                place.take([f"{place}.{word} = {argument!r}: should be choice or grid_search, and a list of ids"])
            elif any(_SEPARATORS.search(key) for key in keys):
                place.problem(f"{word}: a key with '.', '/', '[' or ']' in it cannot be searched for")
            elif word in CATEGORICAL and _holds_domain(argument):
                place.at(word).problem("an option cannot hold a search of its own; list all its values here")
            else:
                with scope.collect():
                    space[key_path] = parse_domain(word, argument, place.where)
    return space


def fill(content: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """Put chosen values into the places of their domains.

    Args:
        content: An experiment, as the user wrote it.
        choices: Key path → value.

    Returns:
        A copy; a block that was chosen to be null is left out, as if it were not in the file.
    """
    filled = {key: _filled(value, key, choices) for key, value in content.items()}
    return {key: value for key, value in filled.items() if value is not None or key not in choices}


def values_of(space: Mapping[str, Domain], choices: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what Tune chose into values.

    Args:
        space: Key path → domain.
        choices: Key path → the number, or the label of the option, that Tune chose.

    Returns:
        Key path → value, for each domain; the first one where there is no choice.

    Raises:
        SettingsError: If there is no such option.
    """
    return {
        key_path: domain.value_of(choices[key_path], key_path) if key_path in choices else domain.first
        for key_path, domain in space.items()
    }


def add_seeds(space: Mapping[str, Domain], content: Mapping[str, Any], num_samples: int) -> dict[str, Domain]:
    """Give each sample of an experiment a seed of its own: the one that it names, and those that follow.

    Args:
        space: Key path → domain.
        content: The experiment, with its first values filled in.
        num_samples: How many samples are drawn from the space.

    Returns:
        The space with another domain, unless there is one sample only, no seed, or a domain for it.
    """
    config = content.get("config")
    seed = config.get("seed") if isinstance(config, dict) else None
    if num_samples == 1 or isinstance(seed, bool) or not isinstance(seed, int) or {SEED, "config"} & space.keys():
        return dict(space)
    return {**space, SEED: Domain(kind=SEEDS, options=list(range(seed, seed + num_samples)))}


def count_trials(space: Mapping[str, Domain], num_samples: int) -> int:
    """Return how many trials an experiment has: each sample with every combination of what its grids hold."""
    return num_samples * math.prod(len(domain.options) for domain in space.values() if domain.kind == "grid_search")


def without_domains(block: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the settings of a block in which search domains stand: all of them, if the block itself is one."""
    if any(not keys for _, keys, _, _ in _domains_in(block, "")):
        return {}
    return {name: value for name, value in block.items() if not _holds_domain(value)}


def meant_domain(value: Any) -> str:
    """Say which search domain a value that is none may have meant: half a sentence; empty if there is none."""
    if not isinstance(value, dict) or len(value) != 1:
        return ""
    near = difflib.get_close_matches(str(next(iter(value))), KINDS, n=1, cutoff=0.8)
    return f", or a search: did you mean {near[0]!r}?" if near else ""


def require_string_keys(content: Mapping[str, Any], scope: Scope) -> None:
    """Refuse keys that are no strings: a sweep is handed to its trials as JSON, which has no others."""
    for block in BLOCKS:
        for key_path, key in _other_keys(content.get(block), block):
            scope.at(key_path).problem(f"the key {key!r} should be a string in an experiment with several trials")


def _holds_domain(value: Any) -> bool:
    return any(True for _ in _domains_in(value, ""))


def _domains_in(
    value: Any, key_path: str, keys: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...], str, Any]]:
    """Yield the key path of each domain, the keys on the way to it, its word, and what stands below that."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((word, argument),) = value.items()
            if isinstance(word, str) and word in _WORDS:
                yield key_path, keys, word, argument
                return
        for key, item in value.items():
            yield from _domains_in(item, f"{key_path}.{key}", (*keys, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _domains_in(item, f"{key_path}[{index}]", keys)


def _filled(value: Any, key_path: str, choices: Mapping[str, Any]) -> Any:
    if key_path in choices:
        return choices[key_path]
    if isinstance(value, dict):
        return {key: _filled(item, f"{key_path}.{key}", choices) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, f"{key_path}[{index}]", choices) for index, item in enumerate(value)]
    return value


def _other_keys(value: Any, key_path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield key_path, key
            yield from _other_keys(item, f"{key_path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _other_keys(item, f"{key_path}[{index}]")


def _are_texts(options: Any) -> bool:
    return isinstance(options, list) and all(isinstance(option, str) for option in options)


def _why_not(block: str, keys: tuple[str, ...]) -> str:
    if block == "run":
        return "an experiment is of one algorithm: write a file for each, and compare their runs with `rllib plot`"
    if is_of_mutations(*keys[:-1]):
        return f"write it at config.{keys[-1]}: what is searched for there is what the scheduler changes"
    return "values can be searched for inside 'model' and 'config' only, and for 'env'"


def is_of_mutations(*keys: str) -> bool:
    """Tell whether one of some keys is what Ray's population-based schedulers call their search domains."""
    return any("mutations" in key or key == "hyperparam_bounds" for key in keys)


def _listed() -> str:
    return ", ".join(KINDS)
