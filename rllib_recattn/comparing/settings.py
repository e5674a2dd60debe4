"""What all runs of a comparison have in common, kept beside them: results of other settings would not compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from rllib_recattn.comparing.rates import Rate
from rllib_recattn.comparing.result import write_atomically
from rllib_recattn.errors import Settings, SettingsError

FILE = "settings.json"


class ComparisonSettings(Settings):
    """What a comparison was begun with.

    Attributes:
        version: Of this form.
        experiment: The experiment's name.
        content: What it trains: algorithm, environment, goals, RLlib's settings, callbacks.
        budget: As the user wrote it.
        steps: Environment steps of each run.
        search_steps: Those of a run of the search.
        rates: The learning rates that are searched; one if there is no search.
        search_seeds: How many seeds each of them gets.
        episodes: How many greedy episodes score a policy.
        parameters: How many parameters each model is to have, if the user said so.
        models: By label, all settings of a model.
    """

    version: Literal[1] = 1
    experiment: str
    content: dict[str, Any]
    budget: str
    steps: int
    search_steps: int
    rates: list[Rate]
    search_seeds: int
    episodes: int
    parameters: int | None = None
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)


def read_settings(directory: Path) -> ComparisonSettings | None:
    """Read the settings of the comparison in a directory; None if there is none.

    Raises:
        SettingsError: If the file holds something else.
    """
    path = directory / FILE
    try:
        return ComparisonSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise SettingsError(
            f"{str(path)!r}: was not written by this version of `rllib compare`; name another directory with --output"
        ) from error


def write_settings(settings: ComparisonSettings, directory: Path) -> None:
    """Write them, with the models that came later."""
    write_atomically(directory / FILE, settings.model_dump_json(indent=1) + "\n")


def joined(before: ComparisonSettings | None, now: ComparisonSettings, directory: Path) -> ComparisonSettings:
    """Return the settings of a comparison that goes on, with the models that are new.

    Raises:
        SettingsError: If what there is could not be compared with what is to come: with what differs, and what to do.
    """
    if before is None:
        return now
    now = ComparisonSettings.model_validate_json(now.model_dump_json())  # as it is read
    problems = [
        f"{name} = {getattr(now, name)!r}, and not {getattr(before, name)!r} as there"
        for name in ("experiment", "budget", "rates", "search_seeds", "search_steps", "steps", "episodes", "parameters")
        if getattr(now, name) != getattr(before, name)
    ]
    problems += differences(before.content, now.content, "")
    for label in now.models.keys() & before.models.keys():
        problems += differences(before.models[label], now.models[label], f"model {label}: ")
    if problems:
        raise SettingsError(
            f"{str(directory)!r}: holds a comparison with other settings, whose runs do not compare: "
            f"{'; '.join(problems)}. Give the same, or name another directory with --output"
        )
    return before.model_copy(update={"models": {**before.models, **now.models}})


def differences(before: dict[str, Any], now: dict[str, Any], where: str) -> list[str]:
    """Name the values in which two mappings differ, by key path."""
    found = []
    for key in dict.fromkeys([*before, *now]):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, f"{where}{key}.")
        elif old != new:
            found.append(f"{where}{key} = {json.dumps(new)}, and not {json.dumps(old)} as there")
    return found
