"""The reference of models and their settings, from the catalog."""

from __future__ import annotations

import re

from docs.site.markdown import code, plain, table
from rllib_recattn.cli.models import setting_type
from rllib_recattn.models.registry import ModelInfo, list_models


def model_settings() -> str:
    """Return the page's Markdown."""
    catalog = [info for info in list_models() if info.settings.__module__.startswith("rllib_recattn.")]
    overview = table(
        ["model", "", "state", "source"],
        [[f"[`{info.name}`](#{info.name})", info.description, _size(info), _source(info)] for info in catalog],
    )
    return overview + "\n".join(_section(info) for info in catalog)


def _section(info: ModelInfo) -> str:
    defaults = info.settings().model_dump()
    rows = []
    for key, field in info.settings.model_fields.items():
        rows.append([code(key), code(_written(defaults[key])), setting_type(field), plain(field.description or "")])
    return (
        f"## `{info.name}`\n\n{info.description[0].upper()}{info.description[1:]} ({_source(info)}). "
        f"State with default settings: {_size(info)}.\n\n" + table(["setting", "default", "values", "meaning"], rows)
    )


def _size(info: ModelInfo) -> str:
    more = " for each feature of the inputs" if info.state_per_feature else ""
    return f"{info.state_size:,} numbers{more}"


def _written(value: object) -> str:
    """Return a value as YAML has it."""
    return {None: "null", True: "true", False: "false"}.get(value, value) if isinstance(value, bool | None) else value


def _source(info: ModelInfo) -> str:
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", info.source)
