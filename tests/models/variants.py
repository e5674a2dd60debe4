"""Every model of the catalog with other settings than its defaults, found by walking what it can be told."""

from __future__ import annotations

import types
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import pytest
import torch
from pydantic.fields import FieldInfo

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.base import ModelSettings, SequenceModel
from rllib_recattn.models.registry import build_model, model_names, model_settings, settings_of

INPUT_DIM = 3
# Settings whose values no type tells.
BY_HAND: dict[str, list[Any]] = {
    "models": [
        [
            {"name": "gru", "d_model": 3},
            {"name": "agalite", "d_model": 4, "n_layers": 1, "d_head": 2, "frequencies": "published", "r": 4},
        ],
        [
            {"name": "rate", "d_model": 4, "n_layers": 1, "d_head": 2, "segment_length": 2, "n_memory_tokens": 1},
            {"name": "gtrxl", "d_model": 4, "n_layers": 2, "d_head": 2, "memory_length": 2},
        ],
    ],
}

Variant = tuple[str, dict[str, Any]]


def values_of(field: FieldInfo, name: str) -> list[Any]:
    """Return small values that a setting can have, at least two."""
    if name in BY_HAND:
        return BY_HAND[name]
    return list(dict.fromkeys(value for kind in _kinds(field.annotation) for value in _values(kind, field, name)))


def _kinds(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _values(kind: Any, field: FieldInfo, name: str) -> list[Any]:
    if kind is types.NoneType:
        return [None]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if kind is bool:
        return [False, True]
    if kind is int:
        least = _least(field, 1)
        # From 4 on published channels are no longer one; a width of 1 is the same everywhere after a LayerNorm.
        return [3, 4] if name == "d_model" else [least, least + 1, least + 3]
    if kind is float:
        near = 4.0 if field.default is None else field.default
        return [near, 0.5 * near, 3.0 * near]
    raise TypeError(f"{name}: {kind}: tests/models/variants.py does not know values for it; BY_HAND takes some")


def _least(field: FieldInfo, otherwise: int) -> int:
    bounds = [bound.ge for bound in field.metadata if isinstance(bound, annotated_types.Ge)]
    bounds += [int(bound.gt) + 1 for bound in field.metadata if isinstance(bound, annotated_types.Gt)]
    return max(bounds, default=otherwise)


def domains(settings: type[ModelSettings]) -> dict[str, list[Any]]:
    """Return the values of all settings of a model, by name."""
    return {name: values_of(field, name) for name, field in settings.model_fields.items()}


def covering(choices: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Choose values so that any two values of two settings stand together once: what goes wrong needs seldom three."""
    if len(choices) == 1:
        [(name, values)] = choices.items()
        yield from ({name: value} for value in values)
        return
    missing = {
        ((a, i), (b, j))
        for a, b in combinations(choices, 2)
        for i, j in product(range(len(choices[a])), range(len(choices[b])))
    }
    while missing:
        chosen = dict(min(missing))
        for name in choices:
            if name not in chosen:
                gain = [
                    sum(pair in missing for pair in _pairs({**chosen, name: index}, choices, name))
                    for index in range(len(choices[name]))
                ]
                chosen[name] = gain.index(max(gain))
        missing -= set(_pairs(chosen, choices))
        yield {name: choices[name][chosen[name]] for name in choices}


def _pairs(chosen: dict[str, int], order: dict[str, Any], name: str | None = None) -> Iterator[Any]:
    """Yield the pairs among the values chosen so far, of one setting or of all, each in the settings' order."""
    for a, b in combinations([each for each in order if each in chosen], 2):
        if name is None or name in (a, b):
            yield (a, chosen[a]), (b, chosen[b])


def variants_of(name: str) -> list[Variant]:
    """Return the settings of a model that its tests run over."""
    variants = []
    for settings in covering(domains(settings_of(name))):
        try:
            model_settings(name, settings)
        except SettingsError:
            continue  # of which test_variants.py sees that no value is lost
        variants.append((name, settings))
    return variants


def marked(variants: list[Variant]) -> list[tuple[Variant, list[pytest.MarkDecorator]]]:
    """Mark as slow what is not needed for each value of each setting to be there once: all pairs are many."""
    seen: set[tuple[str, str]] = set()
    marks = []
    for name, settings in variants:
        values = {(f"{name} {setting}", repr(value)) for setting, value in settings.items()}
        marks.append(((name, settings), [pytest.mark.slow] if values <= seen else []))
        seen |= values
    return marks


def all_variants() -> list[Variant]:
    """Return the variants of all models, those of a model with several names, of other defaults each, once."""
    models = {settings_of(name).build: name for name in reversed(model_names())}
    return [variant for name in reversed(models.values()) for variant in variants_of(name)]


def shaken(variant: Variant) -> SequenceModel:
    """Build a model in float64 with all of its weights off their start, where many are zero or alike."""
    name, settings = variant
    torch.manual_seed(0)
    model = build_model(name, input_dim=INPUT_DIM, **settings).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model
