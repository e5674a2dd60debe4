"""Whether the ``model`` dict of RLlib's old API stack holds settings that there are, of the right types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rllib_recattn.errors import is_number, suggest

GONE = {"lstm_use_prev_action_reward": "lstm_use_prev_action and lstm_use_prev_reward"}
# Of those that older versions had and nothing reads any more.
_IGNORED = ("custom_options", "extra_action_out_fn", "squash_to_range", "state_shape")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", list: "a list"}


def without_ignored(model: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing: settings that nothing reads any more, at their defaults, and a false old name."""
    rest = {key: value for key, value in model.items() if key not in _IGNORED or value}
    return {key: value for key, value in rest.items() if key not in GONE or value is not False}


def wrong_settings(model: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> list[str]:
    """Check names and types.

    Args:
        model: The dict, as plain data.
        defaults: All settings that there are, and what they are by default.
        where: File and key path of the dict.

    Returns:
        A line for each setting that is wrong.
    """
    wrong = []
    for key, value in model.items():
        if key in GONE:
            wrong.append(f"{where}.{key}: RLlib has taken it away; should be {GONE[key]}")
        elif key not in defaults:
            wrong.append(f"{where}: unknown setting {key!r}: {suggest(key, defaults)}")
        elif not _fits(value, defaults[key]):
            wrong.append(f"{where}: {key} = {value!r}: should be {_KINDS[type(defaults[key])]}")
    return wrong


def _fits(value: Any, default: Any) -> bool:
    if default is None or value is None or isinstance(default, dict):
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, int | float):
        return is_number(value) and (isinstance(default, float) or float(value).is_integer())
    return isinstance(value, type(default))
