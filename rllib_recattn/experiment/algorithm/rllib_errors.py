"""RLlib's own complaints about a config, as errors that name the user's file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rllib_recattn.errors import SettingsError

_OBJECT = re.compile(r"<(?:\w+\.)*(\w+) object at 0x[0-9a-f]+>")
_ADVICE_AT_OWN_RISK = "\nTo suppress all validation errors"


@contextmanager
def rllib_errors(where: str) -> Iterator[None]:
    """Turn what RLlib raises about a config into a :class:`SettingsError` that begins with its place.

    Args:
        where: File and key path of the settings in question.

    Raises:
        SettingsError: If the body raises an error about a value or a missing package.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, ImportError, NotImplementedError) as error:
        reason = " ".join(str(error).split(_ADVICE_AT_OWN_RISK)[0].split())
        reason = _OBJECT.sub(r"\1", reason)
        raise SettingsError(f"{where}: {reason}") from error
