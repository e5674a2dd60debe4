"""Names of parameters and metrics as MLflow takes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

# MLflow's limits: mlflow/utils/validation.py. The store on Windows refuses colons as well.
_LONGEST_NAME = 250
_LONGEST_VALUE = 6000
_INDEX = re.compile(r"\[(\d+)\]")
_REFUSED = re.compile(r"[^\w.\- /]")
# A name is a path to MLflow, and may not lead to another one's file.
_NO_PATH = re.compile(r"^/+|/+$|/(?=/)|(?<![^/])\.{1,2}(?![^/])")


def mlflow_names(names: Iterable[str]) -> dict[str, str]:
    """Give each name one that MLflow takes: ``config.lr[0][1]`` is ``config.lr.0.1``.

    Args:
        names: All that are written side by side.

    Returns:
        Name → MLflow's. No two are the same; those that MLflow takes stay as they are.
    """
    all_names = list(names)
    fitting = {name: _fitting(name) for name in all_names}
    taken = {name for name in all_names if fitting[name] == name}
    for name in all_names:
        if name in taken:
            continue
        if fitting[name] in taken:
            fitting[name] = _told_apart(fitting[name], name)
        taken.add(fitting[name])
    return fitting


def mlflow_params(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write settings, by key path, as MLflow's parameters; values that are too long lose their end."""
    names = mlflow_names(settings)
    return {names[key]: _short_value(str(value)) for key, value in settings.items()}


def _fitting(name: str) -> str:
    fitting = _REFUSED.sub("_", _INDEX.sub(r".\1", name))
    fitting = _NO_PATH.sub("_", fitting) or "_"
    return fitting if len(fitting) <= _LONGEST_NAME else _told_apart(fitting, name)


def _told_apart(fitting: str, name: str) -> str:
    suffix = "-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return fitting[: _LONGEST_NAME - len(suffix)].rstrip("/") + suffix


def _short_value(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
