"""What a comparison may claim: an order of the models, and which of them can be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rllib_recattn.comparing import INTERVALS_FROM, SIGNIFICANCE
from rllib_recattn.comparing.intervals import Bounds, probability_interval
from rllib_recattn.comparing.outcomes import Outcome, probability_better, wins
from rllib_recattn.comparing.permutation import adjusted_p_values, p_value, smallest_p


@dataclass(frozen=True)
class Pair:
    """Two models, the one that was seen to be ahead first.

    Attributes:
        better: The label of the first.
        worse: The label of the second.
        probability: How likely a run of the first ends better than one of the second.
        bounds: Its 95 % interval; None with few seeds.
        p: Of the two by themselves.
        adjusted_p: Of the two as one pair among all that are compared.
        smallest_p: The smallest that p can be with so many seeds.
    """

    better: str
    worse: str
    probability: float
    bounds: Bounds | None
    p: float
    adjusted_p: float
    smallest_p: float

    @property
    def differ(self) -> bool:
        """Whether a difference may be claimed."""
        return self.adjusted_p < SIGNIFICANCE


@dataclass(frozen=True)
class Verdict:
    """What can be said of models that have runs.

    Attributes:
        ranked: Their labels, those that were seen to be ahead first. That is an order, and no claim.
        pairs: All pairs of them.
    """

    ranked: tuple[str, ...]
    pairs: tuple[Pair, ...]

    @property
    def leader(self) -> str:
        """The model that was seen to be ahead."""
        return self.ranked[0]

    def with_leader(self, other: str) -> Pair:
        """Return the pair of the leader and another model."""
        return next(pair for pair in self.pairs if {pair.better, pair.worse} == {self.leader, other})

    @property
    def behind(self) -> tuple[str, ...]:
        """The models that the leader is better than."""
        return tuple(
            label
            for label in self.ranked[1:]
            if (pair := self.with_leader(label)).differ and pair.better == self.leader
        )

    @property
    def alike(self) -> tuple[str, ...]:
        """The models that cannot be told from the leader."""
        return tuple(label for label in self.ranked[1:] if label not in self.behind)


def judge(outcomes: Mapping[str, Sequence[Outcome]]) -> Verdict:
    """Compare models.

    Args:
        outcomes: By a model's label, what its runs came to; at least one of each.

    Returns:
        Their order, by the probability that a run of a model ends better than any other run, and their pairs.
    """
    table = wins([outcome for runs in outcomes.values() for outcome in runs])
    models, begin = {}, 0
    for label, runs in outcomes.items():
        models[label] = range(begin, begin + len(runs))
        begin += len(runs)
    ahead = {label: float(table[list(runs)].sum(axis=1).mean()) for label, runs in models.items()}
    ranked = tuple(sorted(models, key=lambda label: -ahead[label]))
    adjusted = adjusted_p_values(table, models)
    return Verdict(ranked, tuple(_pair(table, models, *pair, adjusted[pair]) for pair in adjusted))


def _pair(
    table: NDArray[np.int64], models: Mapping[str, Sequence[int]], first: str, second: str, adjusted: float
) -> Pair:
    between = table[np.ix_(models[first], models[second])]
    if between.sum() < 0:
        first, second, between = second, first, -between.T
    sizes = len(models[first]), len(models[second])
    return Pair(
        better=first,
        worse=second,
        probability=probability_better(between),
        bounds=probability_interval(between) if min(sizes) >= INTERVALS_FROM else None,
        p=p_value(table, [models[first], models[second]]),
        adjusted_p=adjusted,
        smallest_p=smallest_p(*sizes),
    )
