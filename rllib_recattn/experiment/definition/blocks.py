"""The blocks of an experiment: what is said of one that is no mapping from texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rllib_recattn.experiment.definition.experiment_file import is_block
from rllib_recattn.scope import Scope

BLOCKS = ("stop", "config", "model", "multi_agent", "checkpoint", "logging", "tune")

_EXAMPLES = {"stop": "{training_iteration: 100}", "model": "{name: agalite}"}


def without_wrong_blocks(content: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Leave out the blocks of an experiment that are none.

    Args:
        content: The experiment.
        scope: That of the experiment; gets a problem for each of them.

    Returns:
        The rest.
    """
    wrong = {key: value for key, value in content.items() if key in BLOCKS and not is_block(value)}
    for key, value in wrong.items():
        say_what_is_wrong(key, value, scope)
    return {key: value for key, value in content.items() if key not in wrong}


def say_what_is_wrong(key: str, value: Any, scope: Scope) -> None:
    """Add the problem with a value that should be a mapping from texts, and is not."""
    if isinstance(value, Mapping):
        for each in value:
            if not isinstance(each, str):
                scope.at(key).problem(f"the key {each!r} should be a text")
        return
    example = f"{{name: {value}}}" if key == "model" and isinstance(value, str) else _EXAMPLES.get(key)
    of = f", e.g. {example}" if example else ""
    scope.wrong(key, value, f"should be a mapping{of}")
