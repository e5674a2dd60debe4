"""What a probe is going to compute: everything is checked here, before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.registry import find_model
from rllib_recattn.probing.labels import label_of
from rllib_recattn.probing.learning import one_thread
from rllib_recattn.probing.result import Column, ProbedModel, ProbeResult, ProbeSettings, read_result
from rllib_recattn.probing.sizes import SizedModel, size_model
from rllib_recattn.probing.tasks import N_SYMBOLS, TASKS, Task, find_tasks

ModelLike = str | Mapping[str, Any]


@dataclass(frozen=True)
class PlannedCell:
    """A cell that is still to be computed.

    Attributes:
        label: Of the model.
        model: The model and its size.
        task: What it learns.
        seed: With which seed.
    """

    label: str
    model: SizedModel
    task: Task
    seed: int


@dataclass(frozen=True)
class Plan:
    """What a probe is going to do.

    Attributes:
        result: What there is already, with the models that are new.
        labels: Of the models that were asked for.
        tasks: Those that were asked for.
        cells: Those that are still to be computed.
        replaced: Labels of models whose cells are computed again, since they have changed.
        path: Where the result is kept, if anywhere.
    """

    result: ProbeResult
    labels: list[str]
    tasks: list[Task]
    cells: list[PlannedCell]
    replaced: list[str]
    path: Path | None


def plan_probe(
    models: Sequence[ModelLike],
    *,
    tasks: Sequence[str] | None,
    budget: int,
    seeds: int,
    parameters: int,
    path: str | PathLike[str] | None,
) -> Plan:
    """Check everything, find the models' sizes, and tell what is still to be computed; see :func:`rllib_recattn.probe`.

    Raises:
        SettingsError: As :func:`rllib_recattn.probe`.
    """
    for key, value in (("budget", budget), ("seeds", seeds), ("parameters", parameters)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SettingsError(f"{key} = {value!r}: should be a whole number ≥ 1")
    if isinstance(tasks, str):
        raise SettingsError(f"tasks = {tasks!r}: should be a list of names")
    chosen = find_tasks(tasks)
    sized = _sized_models(models, parameters)
    path = None if path is None else Path(path)
    if path is not None and not path.absolute().parent.is_dir():
        raise SettingsError(f"{str(path)!r}: there is no directory {str(path.absolute().parent)!r}")
    settings = ProbeSettings(budget=budget, parameters=parameters)
    result = _begun(path, settings) or ProbeResult(settings=settings)
    replaced = []
    for label, model in sized.items():
        fresh = _described(model)
        known = result.models.get(label)
        if known is not None and not _same(known, fresh):
            replaced.append(label)
        if known is None or label in replaced:
            result.models[label] = fresh
    wanted = {column.task for column in result.columns} | {task.name for task in chosen}
    result.columns[:] = [column for task in TASKS.values() if task.name in wanted for column in _columns(task)]
    cells = [
        PlannedCell(label, model, task, seed)
        for (label, model), task, seed in product(sized.items(), chosen, range(seeds))
        if seed not in result.models[label].cells.get(task.name, {})
    ]
    return Plan(result, list(sized), chosen, cells, replaced, path)


def _sized_models(models: Sequence[ModelLike], parameters: int) -> dict[str, SizedModel]:
    if not isinstance(models, Sequence) or not models:
        raise SettingsError("models: should name at least one; `rllib models` lists them")
    sized: dict[str, SizedModel] = {}
    for model in models:
        if not isinstance(model, str | Mapping):
            raise SettingsError(f"models: {model!r}: should be a name or a block with one")
        block = {"name": model} if isinstance(model, str) else dict(model)
        for key in block:
            if not isinstance(key, str):
                raise SettingsError(f"models: {model!r}: {key!r}: should be the name of a setting")
        if "name" not in block:
            raise SettingsError(f"models: {model!r}: the setting 'name' is missing")
        find_model(block["name"])
        label = label_of(block)
        if label in sized:
            raise SettingsError(f"models: {label!r} is named twice")
        with one_thread():
            sized[label] = size_model(block, parameters, N_SYMBOLS)
    return sized


def _begun(path: Path | None, settings: ProbeSettings) -> ProbeResult | None:
    """Return what a file holds already, if it goes with the settings."""
    found = None if path is None else read_result(path)
    if found is not None and found.settings != settings:
        differing = [
            f"{key} {theirs:,} and not {getattr(settings, key):,}"
            for key, theirs in found.settings
            if theirs != getattr(settings, key)
        ]
        raise SettingsError(
            f"{str(path)!r}: holds a probe with {', '.join(differing)}; give the same, or name another file"
        )
    return found


def _described(model: SizedModel) -> ProbedModel:
    return ProbedModel(
        block=model.block,
        parameters=model.n_parameters,
        searched=model.searched,
        state_size=model.state_size,
        fingerprint=_fingerprint(model),
    )


def _fingerprint(model: SizedModel) -> tuple[float, float, float, float]:
    """Return a few numbers that another model of the same size would hardly have."""
    with one_thread(), torch.no_grad():
        torch.manual_seed(0)
        built = model.build(N_SYMBOLS)
        generator = torch.Generator().manual_seed(0)
        inputs = (torch.rand(2, 12, N_SYMBOLS, generator=generator) < 0.2).float()
        outputs, _ = built(inputs, built.initial_state(2))
        numbers = torch.stack([outputs.mean(), outputs.std(), outputs[0, 0, 0], outputs[-1, -1, -1]])
        mean, spread, first, last = (round(number, 5) for number in numbers.double().nan_to_num().tolist())
    return mean, spread, first, last


def _same(known: ProbedModel, fresh: ProbedModel) -> bool:
    near = all(abs(a - b) <= 1e-3 * (1 + abs(a)) for a, b in zip(known.fingerprint, fresh.fingerprint, strict=True))
    return near and (known.parameters, known.state_size) == (fresh.parameters, fresh.state_size)


def _columns(task: Task) -> list[Column]:
    times = task.beyond or (1,)
    return [Column(task=task.name, description=task.description, times=n, chance=task.chance) for n in times]
