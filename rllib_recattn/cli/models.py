"""``rllib models``: which models there are, and what can be set of each."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click

from rllib_recattn.cli.model_listing import Listed, of_other_packages, read_listing

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from rich.table import Table

    from rllib_recattn.models.registry import ModelInfo

_CONSTRAINTS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "multiple_of": "a multiple of"}


@click.command()
@click.argument("name", metavar="[MODEL]", required=False)
def models(name: str | None) -> None:
    """List the models, or the settings of MODEL.

    MODEL is a model's name, or package.module:name for one that this module registers.
    """
    if name is None:
        _print(_catalog_table(read_listing() + of_other_packages()))
        _print("State: float32 numbers for one agent, with default settings. Settings of a model: rllib models MODEL")
        return

    from rllib_recattn.models.registry import find_model

    info = find_model(name)
    _print(f"{name if ':' in name else info.name}: {info.description} ({info.source})")
    for_each = " for each feature of the inputs" if info.state_per_feature else ""
    _print(f"State with default settings: {info.state_size:,} numbers, {_kib(info.state_size)} KiB{for_each}")
    _print(_settings_table(info))


def _print(content: str | Table) -> None:
    from rich.console import Console

    # Text of other packages is no markup.
    Console(highlight=False, markup=False).print(content)


def _catalog_table(catalog: list[Listed]) -> Table:
    table = _table("model", "state", "KiB", "description", "source", whole=3)
    for column in table.columns[1:3]:
        column.justify = "right"
    for info in catalog:
        table.add_row(info.name, f"{info.state_size:,}", _kib(info.state_size), info.description, info.source)
    return table


def _settings_table(info: ModelInfo) -> Table:
    table = _table("setting", "default", "type", "meaning", whole=1)
    for key, default in info.settings().model_dump().items():
        field = info.settings.model_fields[key]
        table.add_row(key, str(default), setting_type(field), field.description or "")
    return table


def _table(*headings: str, whole: int) -> Table:
    """Return a table of which the first `whole` columns are never broken, however narrow the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index < whole)
    return table


def _kib(state_size: int) -> str:
    return f"{4 * state_size / 1024:,.1f}"


def setting_type(field: FieldInfo) -> str:
    """Say which values a setting takes: ``int > 0 or None``, ``float ≥ 2``, ``distinct or published``."""
    is_union = get_origin(field.annotation) in (Union, types.UnionType)
    members = get_args(field.annotation) if is_union else (field.annotation,)
    words = [word for member in members if member is not type(None) for word in _type_words(member)]
    constraints = ", ".join(
        f"{relation} {getattr(part, name)}"
        for part in field.metadata
        for name, relation in _CONSTRAINTS.items()
        if hasattr(part, name)
    )
    text = f"{' or '.join(words)} {constraints}".rstrip()
    return f"{text} or None" if type(None) in members else text


def _type_words(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [annotation.__name__ if isinstance(annotation, type) else str(annotation)]
