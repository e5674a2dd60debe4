"""What Ray tells a driver about nodes that are lost: two lines in the place of a screen full of a raylet's counters."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rllib_recattn.ray_internals import printing

_REPEATED_WITHIN_S = 60.0
_NODE = re.compile(r"The node with node id: \S+ and address: (\S+) .*marked dead", re.DOTALL)


@contextmanager
def short_messages(tell: Callable[[str], None]) -> Iterator[None]:
    """Shorten what Ray prints about nodes, for as long as the context lasts.

    All else is printed as Ray prints it, as that a process was killed since there was no memory left.

    Args:
        tell: Prints a line.
    """
    told: dict[str, float] = {}

    def shortened(original: Callable[..., None]) -> Callable[..., None]:
        def print_short(data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            texts = [short_message(line) for line in data.get("lines", ())] if data.get("pid") == "raylet" else [None]
            if not texts or None in texts:
                original(data, *args, **kwargs)
                return
            for text in texts:
                assert text is not None
                if time.monotonic() - told.get(text, -_REPEATED_WITHIN_S) >= _REPEATED_WITHIN_S:
                    told[text] = time.monotonic()
                    tell(text)

        return print_short

    with printing(shortened):
        yield


def short_message(message: str) -> str | None:
    """Return a line for a message about a lost node; None for any other message."""
    if message.startswith("Raylet is terminated"):
        return "Ray: the process that ran a node has ended, by SIGKILL, for lack of memory, or by a crash."
    node = _NODE.match(message)
    return None if node is None else f"Ray: the node {node[1]} does not answer, and counts as lost."
