"""The ``tune`` block: how many trials, which of them are best, and who chooses and ends them."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from rllib_recattn.errors import Settings, SettingsError, suggest, suggest_among_many, validate
from rllib_recattn.experiment.definition.domain import SEEDS, Domain
from rllib_recattn.experiment.definition.schedulers import (
    SCHEDULER_ALIASES,
    SCHEDULERS,
    TIME_ATTRS,
    AshaBlock,
    FifoBlock,
    HyperBandBlock,
    MedianBlock,
    Pb2Block,
    PbtBlock,
    Population,
)
from rllib_recattn.experiment.definition.search import SEED, is_of_mutations
from rllib_recattn.experiment.definition.searchers import (
    SEARCHER_ALIASES,
    SEARCHERS,
    HyperOptSearcher,
    OptunaSearcher,
    RandomSearcher,
)
from rllib_recattn.migration.old_files import old_names
from rllib_recattn.scope import Scope

DEFAULT_METRIC = "env_runners/episode_return_mean"

Mode = Literal["max", "min"]

RankBy = Literal["last", "mean_of_last_10", "best"]
"""Which value of a metric stands for a trial: the last that it reported, the mean of the last ten, or its best one."""

AnyScheduler = Annotated[
    FifoBlock | AshaBlock | HyperBandBlock | MedianBlock | PbtBlock | Pb2Block, Field(discriminator="name")
]
AnySearcher = Annotated[RandomSearcher | OptunaSearcher | HyperOptSearcher, Field(discriminator="name")]


class TuneBlock(Settings):
    """How an experiment's trials are made; names are those of ``ray.tune.TuneConfig``.

    Attributes:
        num_samples: How many trials are drawn from the search domains; with ``grid_search``, how often the grid is run.
        metric: The metric by which trials are compared.
        mode: Whether more of it is better, or less.
        rank_by: Which of its values stands for a trial: the ``last`` one, the ``mean_of_last_10``, or the ``best``.
            Configurations are compared by the mean of that over their seeds.
        scheduler: What ends trials early.
        search_alg: What chooses values.
        max_concurrent_trials: How many trials train at the same time; None: as many as there are CPUs for.
        time_budget_s: Seconds, from the beginning of the first trial, after which all end: each after its iteration,
            with a checkpoint.
    """

    num_samples: int = Field(default=1, ge=1)
    metric: str = DEFAULT_METRIC
    mode: Mode = "max"
    rank_by: RankBy = "last"
    scheduler: AnyScheduler = FifoBlock()
    search_alg: AnySearcher = RandomSearcher()
    max_concurrent_trials: int | None = Field(default=None, ge=1)
    time_budget_s: float | None = Field(default=None, gt=0)


TUNE_KEYS = tuple(TuneBlock.model_fields)
"""The keys of the block, which older experiments have at the top level."""

# A package is not an argument: what to install for those that need one.
_EXTRAS = {"pb2": ("sklearn", "pb2"), "optuna": ("optuna", "optuna"), "hyperopt": ("hyperopt", "hyperopt")}


def check_tune(
    block: Mapping[str, Any],
    scope: Scope,
    *,
    metrics: frozenset[str],
    stop: Mapping[str, float],
) -> TuneBlock:
    """Validate a ``tune`` block.

    Args:
        block: What the user wrote. ``scheduler`` and ``search_alg`` are names, or ``{name: {argument: value}}``.
        scope: That of the block; gets a problem for each thing that is wrong, and a note if the metric has an old name,
            which is translated.
        metrics: The metrics that trials report.
        stop: The experiment's stop criteria, which say how long trials train.

    Returns:
        The block; without what is wrong in it.
    """
    content = dict(block)
    for key, kinds, aliases in (
        ("scheduler", SCHEDULERS, SCHEDULER_ALIASES),
        ("search_alg", SEARCHERS, SEARCHER_ALIASES),
    ):
        if key in content:
            with scope.collect():
                content[key] = _named(content.pop(key), kinds, aliases, f"{scope}.{key}")
    content = _with_present_metric(content, scope)
    tune = TuneBlock()
    with scope.collect():
        tune = validate(TuneBlock, content, scope.where)
    _check_metric(tune.metric, metrics, scope)
    return tune.model_copy(
        update={"scheduler": _timed(tune.scheduler, stop, scope.at("scheduler", tune.scheduler.name))}
    )


def _named(value: Any, kinds: Mapping[str, type[Settings]], aliases: Mapping[str, str], where: str) -> Settings:
    name, arguments = value, dict[str, Any]()
    if isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
        arguments = {} if arguments is None else arguments
    if not isinstance(name, str):
        raise SettingsError(
            f"{where} = {value!r}: should be a name, or {{name: {{argument: value}}}}; valid are: {', '.join(kinds)}"
        )
    known = aliases.get(name, name)
    if known not in kinds:
        raise SettingsError(f"{where}: unknown name {name!r}: {suggest(name, [*kinds, *aliases])}")
    if not isinstance(arguments, dict):
        raise SettingsError(f"{where}.{name} = {arguments!r}: should be a mapping from arguments to values")
    if known in _EXTRAS:
        package, extra = _EXTRAS[known]
        if importlib.util.find_spec(package) is None:
            raise SettingsError(
                f"{where}: {name} needs a package that is missing: pip install 'rllib-recattn[{extra}]'"
            )
    valid = kinds[known].model_fields.keys() - {"name"}
    unknown = [str(argument) for argument in arguments if argument not in valid]
    if unknown:
        raise SettingsError(
            "\n".join(
                f"{where}.{name}: unknown setting {argument!r}: {_advice(argument, valid)}" for argument in unknown
            )
        )
    return validate(kinds[known], arguments, f"{where}.{name}")


def _advice(argument: str, valid: Collection[str]) -> str:
    if is_of_mutations(argument):
        return "write searches in the places of their values, e.g. config: {lr: {loguniform: [1e-5, 1e-3]}}"
    return suggest(argument, valid)


def _with_present_metric(content: dict[str, Any], scope: Scope) -> dict[str, Any]:
    names = old_names.metric_names(scope.stack)
    metric = content.get("metric")
    if not isinstance(metric, str) or metric not in names:
        return content
    scope.note(f"{metric!r} is called {names[metric]!r} now")
    return {**content, "metric": names[metric]}


def _check_metric(metric: str, metrics: frozenset[str], scope: Scope) -> None:
    if metric not in metrics:
        common = f"common ones are {DEFAULT_METRIC} and env_runners/success_rate"
        scope.problem(f"metric = {metric!r}: unknown metric: {suggest_among_many(metric, metrics, common)}")


def _timed(scheduler: Any, stop: Mapping[str, float], scope: Scope) -> Any:
    """Fill in the time after which trials end, for schedulers that have to know it."""
    if scheduler.time_attr not in TIME_ATTRS:
        scope.wrong("time_attr", scheduler.time_attr, suggest(scheduler.time_attr, TIME_ATTRS))
        return scheduler
    if not isinstance(scheduler, AshaBlock | HyperBandBlock) or scheduler.max_t is not None:
        return scheduler
    if scheduler.time_attr not in stop:
        scope.problem(
            f"max_t is missing: say when a trial ends at the latest, in {scheduler.time_attr}, here or in 'stop'"
        )
        return scheduler
    with scope.collect():
        return validate(
            type(scheduler), {**scheduler.model_dump(), "max_t": int(stop[scheduler.time_attr])}, scope.where
        )
    return scheduler


# What Ray Tune raises for, or leaves a part of out, in silence.
_UNSUPPORTED = {
    "optuna": ("grid_search", "qloguniform", "qlograndint", "randn", "qrandn"),
    "hyperopt": ("grid_search",),
    "pbt": ("grid_search",),
    "pb2": ("grid_search", "choice", "randn", "qrandn", "quniform", "qloguniform", "qrandint", "qlograndint"),
}
_INSTEAD = {
    "optuna": {"grid_search": "choice", "qloguniform": "loguniform", "qlograndint": "lograndint"},
    "hyperopt": {"grid_search": "choice"},
    "pbt": {"grid_search": "choice"},
}


def check_sweep(tune: TuneBlock, space: Mapping[str, Domain], scope: Scope, *, evaluates: bool) -> None:
    """Check that metric, scheduler, search algorithm and search domains go together.

    Args:
        tune: The ``tune`` block.
        space: Key path → domain.
        scope: That of the experiment; gets a problem for each thing that is wrong.
        evaluates: Whether the experiment evaluates while it trains.
    """
    scheduler, searcher = tune.scheduler, tune.search_alg
    is_population = isinstance(scheduler, Population)
    is_random = isinstance(searcher, RandomSearcher)
    # Population-based training lets every trial keep its seed.
    searched = {
        key_path: domain
        for key_path, domain in space.items()
        if domain.kind != SEEDS and not (is_population and key_path == SEED)
    }
    if (space or tune.num_samples > 1) and tune.metric.startswith("evaluation/") and not evaluates:
        scope.at("tune").problem(
            f"metric: {tune.metric} never comes without config.evaluation_interval; set it, e.g. to 10"
        )
    if is_population and not is_random:
        scope.at("tune").problem(f"search_alg = {searcher.name!r}: {scheduler.name} chooses values by itself")
    if is_population and tune.num_samples < 2:
        scope.at("tune").problem(
            f"num_samples = {tune.num_samples}: should be at least 2, the size of {scheduler.name}'s population"
        )
    for name, needs_space in ((scheduler.name, is_population), (searcher.name, not is_random)):
        if needs_space and not searched:
            scope.problem(
                f"{name} has nothing to choose: write a search domain in 'config', e.g. "
                "lr: {loguniform: [1e-5, 1e-3]}"
            )
        for key_path, domain in searched.items():
            if domain.kind in _UNSUPPORTED.get(name, ()):
                instead = _INSTEAD.get(name, {}).get(domain.kind, "uniform")
                scope.at(key_path).problem(f"{name} cannot take {domain.kind}: write {instead}")
