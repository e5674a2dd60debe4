"""What schedulers and search algorithms can do with which search domains."""

from __future__ import annotations

from collections.abc import Mapping

from rllib_recattn.experiment.definition.domain import SEEDS, Domain
from rllib_recattn.experiment.definition.schedulers import Population
from rllib_recattn.experiment.definition.search import SEED
from rllib_recattn.experiment.definition.searchers import RandomSearcher
from rllib_recattn.experiment.definition.tune_block import TuneBlock
from rllib_recattn.scope import Scope

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
