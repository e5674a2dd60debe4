"""Pieces of JSON Schema: of types and settings, and search domains wherever a value may be searched for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from rllib_recattn.experiment.algorithm.setting_types import plain_part
from rllib_recattn.experiment.definition.domain import CATEGORICAL, DISTRIBUTIONS

Schema = dict[str, Any]

ANYTHING: Schema = {}
NULL: Schema = {"type": "null"}
NUMBER: Schema = {"type": "number"}
SEARCH = "search"
"""The name among the definitions of what stands for any search domain."""

_TITLES = ("title", "default", "discriminator")  # the tool knows defaults, editors need not


def ref(*path: str) -> Schema:
    """Return a reference to a place below the definitions."""
    return {"$ref": "/".join(("#/$defs", *path))}


def any_of(*schemas: Schema) -> Schema:
    """Return what one of several schemas allows, flat."""
    members: list[Schema] = []
    for schema in schemas:
        for member in schema["anyOf"] if set(schema) == {"anyOf"} else [schema]:
            if member == ANYTHING:
                return ANYTHING
            if member not in members:
                members.append(member)
    return members[0] if len(members) == 1 else {"anyOf": members}


def nullable(schema: Schema) -> Schema:
    """Return a schema that allows null as well."""
    return any_of(schema, NULL)


def not_null(schema: Schema) -> Schema:
    """Return a schema that does not allow null."""
    return any_of(*(member for member in schema["anyOf"] if member != NULL)) if "anyOf" in schema else schema


def block(properties: Mapping[str, Schema], **more: Any) -> Schema:
    """Return a mapping with these keys and no others."""
    return {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}


def of_type(annotation: Any) -> Schema:
    """Return the schema of the plain part of a type annotation."""
    return _clean(TypeAdapter(plain_part(annotation)).json_schema())


def of_settings(settings: type[BaseModel], definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a pydantic model.

    Args:
        settings: The model.
        definitions: Gets the models that it refers to.
    """
    schema = _clean(settings.model_json_schema(ref_template="#/$defs/{model}"))
    definitions |= schema.pop("$defs", {})
    return schema


def searchable(schema: Schema) -> Schema:
    """Return a schema that allows search domains in the place of a value, and of the values inside it."""
    if schema == ANYTHING:
        return schema
    return any_of(_inside(schema), ref(SEARCH))


def search_schema() -> Schema:
    """Return the schema of a search domain."""
    kinds: dict[str, Schema] = {kind: {"type": "array", "minItems": 1} for kind in CATEGORICAL}
    for kind, arguments in DISTRIBUTIONS.items():
        as_list = {"type": "array", "items": NUMBER, "minItems": len(arguments), "maxItems": len(arguments)}
        kinds[kind] = any_of(as_list, block(dict.fromkeys(arguments, NUMBER), required=list(arguments)))
    return block(kinds, minProperties=1, maxProperties=1)


def old_names(
    names: Iterable[tuple[str, str]], place: tuple[str, ...], known: Mapping[str, Schema]
) -> dict[str, Schema]:
    """Return the schemas of old names, which editors strike out: those of the present ones.

    Args:
        names: Pairs of an old and a present name.
        place: Where the definitions hold the properties with the present names.
        known: Those properties.
    """
    return {
        old: {**ref(*place, new), "deprecated": True, "description": f"is called {new} now"}
        for old, new in names
        if new in known and old not in known
    }


def _inside(schema: Schema) -> Schema:
    changed = dict(schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            changed[key] = [_inside(member) for member in schema[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            changed[key] = searchable(schema[key])
    if "properties" in schema:
        changed["properties"] = {name: searchable(each) for name, each in schema["properties"].items()}
    return changed


def _clean(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_clean(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _clean(each) for name, each in value.items()} if key in ("properties", "$defs") else _clean(value)
        for key, value in schema.items()
        if key not in _TITLES
    }
