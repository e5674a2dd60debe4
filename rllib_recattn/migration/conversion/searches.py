"""Search domains of RLlib's settings, moved to the names and values of the new API stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from rllib_recattn.experiment.definition.domain import SEEDS, Domain
from rllib_recattn.migration.model_dict.losses import Losses

_SETTING = re.compile(r"config\.([^.\[\]]+)")


def new_stack_searches(
    space: Mapping[str, Domain], translate: Callable[[str, Any], dict[str, Any]], losses: Losses
) -> dict[str, Any]:
    """Translate the domains of an experiment.

    Args:
        space: Key path, as the user wrote it, → domain.
        translate: Makes, of a setting's name and a value, the new stack's settings that say the same.
        losses: Gets the domains that cannot be carried, in whose place their first value stands.

    Returns:
        The new stack's settings that are searched for → what stands in the place of a value.
    """
    searches: dict[str, Any] = {}
    for key_path, domain in space.items():
        if domain.kind == SEEDS or not key_path.startswith("config"):
            continue  # nobody wrote the former; a model block is carried as it is
        setting = _SETTING.fullmatch(key_path)
        values = domain.options if domain.is_categorical else list(domain.arguments.values())
        found = [translate(setting[1], value) for value in values] if setting else []
        names = {tuple(each) for each in found}
        name = next(iter(names))[0] if len(names) == 1 and len(found[0]) == 1 else None
        new = [each[name] for each in found] if name is not None else []
        if name is None or (not domain.is_categorical and new != values):
            losses.add(key_path, {domain.kind: values}, "there is no such search on the new API stack; its first value")
        else:
            searches[name] = {domain.kind: new}
    return searches
