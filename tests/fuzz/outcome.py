"""Settings are taken, or refused by one clear error; nothing else may happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rllib_recattn.errors import SettingsError
from tests.fuzz.started import nothing_started

LONGEST_MESSAGE = 2000  # characters

T = TypeVar("T")


def taken_or_refused(call: Callable[[], T], names: str) -> T | str:
    """Call what reads settings.

    Args:
        call: It.
        names: What each message has to name.

    Returns:
        What it returned, or the message of its `SettingsError`; whatever else it raises is raised.
    """
    with nothing_started():
        try:
            return call()
        except SettingsError as error:
            message = str(error)
    assert names in message
    assert len(message) <= LONGEST_MESSAGE, f"{len(message)} characters: {message[:500]}"
    message.encode()  # can be printed
    return message


def is_refused(outcome: Any) -> bool:
    """Tell whether `taken_or_refused` got a message."""
    return isinstance(outcome, str)
