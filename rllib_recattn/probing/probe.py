"""The probe: which of several models can learn which memory tasks, at equal parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike

from rllib_recattn.errors import SettingsError
from rllib_recattn.probing import BUDGET, PARAMETERS
from rllib_recattn.probing.learning import learn_task, one_thread
from rllib_recattn.probing.machine import this_machine
from rllib_recattn.probing.plan import ModelLike, Plan, PlannedCell, plan_probe
from rllib_recattn.probing.result import Cell, ProbeResult, write_result
from rllib_recattn.probing.tasks import N_SYMBOLS


def probe(
    models: ModelLike | Sequence[ModelLike],
    *,
    tasks: Sequence[str] | None = None,
    budget: int = BUDGET,
    seeds: int = 1,
    parameters: int = PARAMETERS,
    path: str | PathLike[str] | None = None,
) -> ProbeResult:
    """Find out what memories can learn: models of equal size, told what is right, on small tasks.

    Each model learns each task from scratch, on one thread, and is tested on sequences that it has not seen. The same
    arguments give the same result, on one machine and with one version of PyTorch.

    Args:
        models: Names of models, ``"package.module:name"`` too, or blocks such as ``{"name": "gla", "conv_size": 4}``.
        tasks: Names of tasks of :data:`rllib_recattn.probing.tasks.TASKS`; all, if None.
        budget: The most updates for a model and task. It is counted in updates and not in seconds, so that a slow
            machine says the same.
        seeds: How many seeds, from 0 on.
        parameters: How many parameters each model is to have. Widths that are not set are searched for, with two layers
            and heads if nothing else is set.
        path: A JSON file that keeps the result, written after each cell. What it holds already is not computed again.

    Returns:
        The result: of `models` and `tasks` only, whatever else the file holds.

    Raises:
        SettingsError: If an argument is wrong, or the file holds something else.

    Example:
        >>> import rllib_recattn as ra
        >>> result = ra.probe(["gru", {"name": "gla", "conv_size": 4}], tasks=["repeat-3"], budget=2, parameters=2000)
        >>> [column.heading for column in result.columns], list(result.models)
        (['repeat-3'], ['gru', 'gla (conv_size 4)'])
        >>> result.score("gru", result.columns[0]).updates is None  # two updates are not enough
        True
    """
    if isinstance(models, str | Mapping):
        models = [models]
    plan = plan_probe(models, tasks=tasks, budget=budget, seeds=seeds, parameters=parameters, path=path)
    for cell in plan.cells:
        run_cell(plan, cell)
    return result_of(plan)


def run_cell(plan: Plan, planned: PlannedCell, on_update: Callable[[], None] = lambda: None) -> Cell:
    """Compute a cell, and keep it.

    Raises:
        SettingsError: If the result cannot be written.
    """
    result = plan.result
    with one_thread():
        cell = learn_task(
            lambda: planned.model.build(N_SYMBOLS),
            planned.task,
            seed=planned.seed,
            budget=result.settings.budget,
            on_update=on_update,
        )
    machine = this_machine()
    if machine not in result.machines:
        result.machines.append(machine)
    cell = cell.model_copy(update={"machine": result.machines.index(machine)})
    result.models[planned.label].cells.setdefault(planned.task.name, {})[planned.seed] = cell
    if plan.path is not None:
        try:
            write_result(result, plan.path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SettingsError(f"{str(plan.path)!r}: cannot be written to: {reason}") from error
    return cell


def result_of(plan: Plan) -> ProbeResult:
    """Return what there is of what was asked for."""
    return plan.result.only(plan.labels, [task.name for task in plan.tasks])
