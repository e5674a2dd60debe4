"""What trials were trained with, key by key, and which of them differ in nothing but the seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rllib_recattn.errors import SettingsError, suggest_among_many
from rllib_recattn.experiment.definition.domain import Domain
from rllib_recattn.experiment.definition.search import SEED, fill
from rllib_recattn.experiment.records.trials import TrialRecord, flatten
from rllib_recattn.rl_module.recurrence import RecurrenceSettings

_TOP_LEVEL = ("run", "api_stack")
_TELLING = ("model.name", "model", "run", "env")


def settings_of(trial: TrialRecord) -> dict[str, Any]:
    """List what makes a trial's result: algorithm, environment, model and RLlib's settings, its choices filled in.

    Returns:
        Key path, as in ``config.lr`` and ``model.d_model``, → value. Of a trial of another program that has no
        ``experiment.json``, its parameters.
    """
    experiment = trial.experiment
    if not experiment:
        return dict(flatten("config", trial.parameters))
    model = dict(experiment.get("model") or {})
    own = model.pop("settings", {})
    blocks = {"env": experiment.get("env"), "model": {**model, **own}, "config": experiment.get("config", {})}
    settings = {key: experiment[key] for key in _TOP_LEVEL if key in experiment}
    # What is written is the first variant. A choice may stand inside a list, or for a whole block.
    chosen = _chosen(trial)
    for key, block in fill(blocks, chosen).items():
        settings.update(flatten(key, block))
    for key, value in chosen.items():
        place = key.partition("[")[0]
        if not any(name == place or name.startswith(f"{place}.") for name in settings):
            settings.update(flatten(key, value))  # the experiment was written under an old name of RLlib's
    return settings


def group_trials(trials: Sequence[TrialRecord], by: str | None = None) -> dict[str, list[TrialRecord]]:
    """Put trials together that were trained alike.

    Args:
        trials: Of one run or several.
        by: A key path; those with the same value there come together, whatever else differs. By default those come
            together that differ in nothing but the seed.

    Returns:
        What tells a group from the others, such as ``agalite, lr = 0.001``, → its trials.

    Raises:
        SettingsError: If no trial has a setting of the name `by`.
    """
    settings = [settings_of(trial) for trial in trials]
    if by is not None:
        # A choice among whole blocks is told apart by what the table of the sweep calls it.
        settings = [{**trial.choices, **each} for trial, each in zip(trials, settings, strict=True)]
        known = {name for each in settings for name in each}
        if by not in known:
            otherwise = f"a key path such as {SEED}, model.name or config.lr"
            raise SettingsError(
                f"--group-by {by!r}: no trial has this setting: {suggest_among_many(by, known, otherwise)}"
            )
        keys = [by]
    else:
        keys = _telling_apart(settings)
    groups: dict[str, list[TrialRecord]] = {}
    labels = [_label({key: each.get(key) for key in keys}, names_null=by is not None) for each in settings]
    for label, trial in zip(labels, trials, strict=True):
        groups.setdefault(label, []).append(trial)
    if groups.keys() == {""}:
        return {_common_name(trials): list(trials)}
    return groups


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Shorten key paths to their last part, or to as much as tells them apart; the name of a model is the model."""
    short: dict[str, str] = {}
    for key in keys:
        if key == "model.name":
            short[key] = "model"
            continue
        parts = key.split(".")
        lengths = range(1, len(parts) + 1)
        names = (".".join(parts[-length:]) for length in lengths)
        others = [other for other in keys if other != key]
        short[key] = next(name for name in names if not any(f".{other}".endswith(f".{name}") for other in others))
    return short


def value_text(value: Any) -> str:
    """Write the value of a setting, numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{', '.join(map(_item_text, value))}]"
    return value if isinstance(value, str) else "–" if value is None else json.dumps(value, default=str)


def _item_text(value: Any) -> str:
    return value_text(value) if isinstance(value, float | list) else json.dumps(value, default=str)


def _telling_apart(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Choose as few keys as tell apart all that differ in more than the seed, those that say most first."""
    keys = dict.fromkeys([*_TELLING, *(key for each in settings for key in each if key != SEED)])
    chosen: list[str] = []
    groups = 1
    for key in keys:
        found = len({_canonical([each.get(name) for name in [*chosen, key]]) for each in settings})
        if found > groups:
            chosen.append(key)
            groups = found
    return chosen


def _chosen(trial: TrialRecord) -> dict[str, Any]:
    space = {key: Domain.model_validate(domain) for key, domain in trial.experiment.get("space", {}).items()}
    chosen = {key: space[key].value_of(choice, key) for key, choice in trial.choices.items()}
    if isinstance(chosen.get("model"), dict):
        # The models of other trials stand in their experiments with all of these.
        chosen["model"] = {**RecurrenceSettings.model_validate({}).model_dump(mode="json"), **chosen["model"]}
    return chosen


def _label(values: Mapping[str, Any], *, names_null: bool) -> str:
    short = short_names(list(values))
    return ", ".join(
        value_text(value) if isinstance(value, str) else f"{short[key]} = {value_text(value)}"
        for key, value in values.items()
        if value is not None or names_null
    )


def _common_name(trials: Sequence[TrialRecord]) -> str:
    names = {trial.experiment.get("name", trial.name) for trial in trials}
    return names.pop() if len(names) == 1 else ""


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
