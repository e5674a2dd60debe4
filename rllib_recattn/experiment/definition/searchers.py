"""The search algorithms of Ray Tune that an experiment can name, and the arguments that they take."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rllib_recattn.errors import Settings


class Searcher(Settings):
    """Base of all."""

    name: Literal["random", "optuna", "hyperopt"]


class RandomSearcher(Searcher):
    """Draws values at random, and runs all combinations of those of ``grid_search``.

    Attributes:
        random_state: The seed of the draws; None: the experiment's own seed.
    """

    name: Literal["random"] = "random"
    random_state: int | None = Field(default=None, ge=0)


class OptunaSearcher(Searcher):
    """Optuna's tree-structured Parzen estimator, which learns from finished trials.

    Attributes:
        seed: Its seed; None: the experiment's own.
    """

    name: Literal["optuna"] = "optuna"
    seed: int | None = Field(default=None, ge=0)


class HyperOptSearcher(Searcher):
    """HyperOpt's tree-structured Parzen estimator.

    Attributes:
        n_initial_points: How many trials are drawn at random before it begins to learn.
        gamma: The share of trials that count as good ones.
        random_state_seed: Its seed; None: the experiment's own.
    """

    name: Literal["hyperopt"] = "hyperopt"
    n_initial_points: int = Field(default=20, ge=1)
    gamma: float = Field(default=0.25, gt=0, lt=1)
    random_state_seed: int | None = Field(default=None, ge=0)


SEARCHERS: dict[str, type[Searcher]] = {
    "random": RandomSearcher,
    "optuna": OptunaSearcher,
    "hyperopt": HyperOptSearcher,
}

SEARCHER_ALIASES = {"variant_generator": "random"}
"""Other names that Ray has for them."""
