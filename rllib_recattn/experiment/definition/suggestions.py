"""Suggestions for names of which there are too many to list them all."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from rllib_recattn.errors import suggest

# How much less like the name than the nearest one a suggestion may be.
_AS_GOOD = 0.1


def suggest_among_many(name: str, valid: Collection[str], otherwise: str) -> str:
    """Say which of many valid names the given one may have meant.

    Args:
        name: What the user wrote.
        valid: The names that would have been right.
        otherwise: What to say when none of them is near.

    Returns:
        Half a sentence for the end of an error message.
    """
    near = difflib.get_close_matches(name, valid)
    if not near:
        return otherwise
    likeness = {other: difflib.SequenceMatcher(None, other, name).ratio() for other in near}
    return suggest(name, [other for other in near if likeness[other] > likeness[near[0]] - _AS_GOOD])
