"""Ray Tune's search algorithms, as an experiment describes them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.tune.search import Searcher
from ray.tune.search.basic_variant import BasicVariantGenerator

from rllib_recattn.experiment.definition.domain import SEEDS, Domain
from rllib_recattn.experiment.definition.search import SEED, count_trials
from rllib_recattn.experiment.definition.searchers import HyperOptSearcher, OptunaSearcher, RandomSearcher
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.tune_internals.schedulers import set_target


def tune_domain(domain: Domain) -> Any:
    """Return a search domain as Ray Tune's, with labels for options."""
    if domain.kind in ("grid_search", SEEDS):
        return tune.grid_search(domain.labels)
    if domain.kind == "choice":
        return tune.choice(domain.labels)
    return getattr(tune, domain.kind)(**domain.arguments)


def number_of_trials(experiment: Experiment) -> int:
    """Return how many trials an experiment has."""
    return count_trials(experiment.space, experiment.tune.num_samples)


def tune_space(experiment: Experiment) -> dict[str, Any]:
    """Return the search domains of an experiment as Ray Tune's: key path → domain."""
    is_random = isinstance(experiment.tune.search_alg, RandomSearcher)
    # Search algorithms should not learn from seeds, and take no grid: they get them from SeededSearcher.
    return {
        key_path: tune_domain(domain)
        for key_path, domain in experiment.space.items()
        if is_random or domain.kind != SEEDS
    }


def make_searcher(experiment: Experiment) -> BasicVariantGenerator | Searcher:
    """Make the search algorithm of an experiment, which the experiment's seed makes choose the same values again.

    Search algorithms that learn do so from the trials that are through, so that theirs are the same only as long as
    trials end in the same order, as with ``max_concurrent_trials: 1``.
    """
    block = experiment.tune.search_alg
    seed = experiment.config.get("seed")
    seeds = experiment.space[SEED].options if _has_seeds(experiment) else []
    if isinstance(block, RandomSearcher):
        return BasicVariantGenerator(
            random_state=seed if block.random_state is None else block.random_state,
            max_concurrent=experiment.tune.max_concurrent_trials or 0,
            # What is drawn at random is drawn once for all seeds of a grid: a seed is a repetition, no other setting.
            constant_grid_search=SEED in experiment.space and experiment.space[SEED].kind == "grid_search",
        )
    searcher = _optuna(block, seed) if isinstance(block, OptunaSearcher) else _hyperopt(block, seed)
    return SeededSearcher(searcher, seeds)


def tune_samples(experiment: Experiment) -> int:
    """Return how often Ray Tune is to draw from the space, which may hold a seed for each sample as a grid."""
    as_grid = _has_seeds(experiment) and isinstance(experiment.tune.search_alg, RandomSearcher)
    return 1 if as_grid else experiment.tune.num_samples


class SeededSearcher(Searcher):
    """Gives each trial of a search algorithm a seed of its own, and tells it of no result that is none.

    Args:
        searcher: The search algorithm.
        seeds: A seed for each trial; empty: they get none.
    """

    def __init__(self, searcher: Searcher, seeds: list[int]):
        super().__init__(metric=searcher.metric, mode=searcher.mode)
        self._searcher = searcher
        self._seeds = list(seeds)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Tell the search algorithm what to search for; called by Tune."""
        set_target(self, metric, mode)
        return self._searcher.set_search_properties(metric, mode, config, **spec)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Choose the values of a new trial."""
        choices = self._searcher.suggest(trial_id)
        if isinstance(choices, dict) and self._seeds:
            return {**choices, SEED: self._seeds.pop(0)}
        return choices

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass a result on, if there is one."""
        if self._is_valid(result):
            self._searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Pass the last result on; a trial in which no episode ended is as good as one that failed."""
        valid = result is not None and self._is_valid(result)
        self._searcher.on_trial_complete(trial_id, result if valid else None, error or not valid)

    def save(self, checkpoint_path: str) -> None:
        """Write the state to a file."""
        Path(checkpoint_path).write_bytes(cloudpickle.dumps(self.__dict__))

    def restore(self, checkpoint_path: str) -> None:
        """Read the state from a file."""
        self.__dict__.update(cloudpickle.loads(Path(checkpoint_path).read_bytes()))

    def _is_valid(self, result: dict[str, Any]) -> bool:
        value = result.get(self.metric)
        return value is not None and math.isfinite(value)


def _has_seeds(experiment: Experiment) -> bool:
    return SEED in experiment.space and experiment.space[SEED].kind == SEEDS


def _optuna(block: OptunaSearcher, seed: int | None) -> Searcher:
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return OptunaSearch(seed=seed if block.seed is None else block.seed)


def _hyperopt(block: HyperOptSearcher, seed: int | None) -> Searcher:
    from ray.tune.search.hyperopt import HyperOptSearch

    return HyperOptSearch(
        n_initial_points=block.n_initial_points,
        gamma=block.gamma,
        random_state_seed=seed if block.random_state_seed is None else block.random_state_seed,
    )
