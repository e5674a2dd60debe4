"""Which models can be told apart: permutation tests of who is better than whom, for all pairs at once.

Under the hypothesis that models are equal, their names could be dealt to the runs in any way. The p of a hypothesis is
the share of such ways, the real one among them, that look at least as unequal. Where two models are compared that is
the Mann–Whitney test in its exact form; several are compared by its extension of Kruskal and Wallis, and claims about
pairs go through the procedure of Ryan, Einot, Gabriel and Welsch, so that with a probability of 95 % not one of all the
claims of a comparison is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

MOST_ENUMERATED = 20_000
"""Up to so many ways to deal the runs of two models are all tried; else as many as `DRAWN` are drawn."""

DRAWN = 4_999
MOST_IN_SUBSETS = 8
"""Up to so many models all sets of them are tested; more are compared by Holm's correction of pairs."""

_ROUNDING = 1e-9


def p_value(table: NDArray[np.int64], groups: Sequence[Sequence[int]]) -> float:
    """Test whether groups of runs are alike.

    Args:
        table: Who is better than whom, 1, 0 or −1 [N, N]; its transpose is its negative.
        groups: The runs of each model, by their index.

    Returns:
        The two-sided p of a permutation test; exact for two small groups, else of a sample that is the same each time.
    """
    chosen = np.concatenate([np.asarray(group, dtype=np.int64) for group in groups])
    scores = table[np.ix_(chosen, chosen)].sum(axis=1).astype(float)
    sizes = np.array([len(group) for group in groups])
    if not scores.any():
        return 1.0
    seen = _spread(scores[None], sizes)[0]
    if len(groups) == 2 and comb(len(chosen), int(sizes[0])) <= MOST_ENUMERATED:
        firsts = np.array(list(combinations(range(len(chosen)), int(sizes[0]))))
        first_sums = scores[firsts].sum(axis=1)
        found = first_sums**2 / sizes[0] + (scores.sum() - first_sums) ** 2 / sizes[1]
        return float((found >= seen - _ROUNDING).mean())
    generator = np.random.default_rng(0)
    drawn = generator.permuted(np.broadcast_to(scores, (DRAWN, len(scores))), axis=1)
    return float((1 + (_spread(drawn, sizes) >= seen - _ROUNDING).sum()) / (1 + DRAWN))


def smallest_p(first: int, second: int) -> float:
    """Return the smallest p that two models of so many seeds can come to: all of one are better than all of the other.

    Examples:
        >>> round(smallest_p(3, 3), 3), round(smallest_p(5, 5), 3)
        (0.1, 0.008)
    """
    return min(1.0, (1 + (first == second)) / comb(first + second, first))


def adjusted_p_values(table: NDArray[np.int64], models: Mapping[str, Sequence[int]]) -> dict[tuple[str, str], float]:
    """Test all pairs of models, each p such that a claim at p < α is one of a family with that error.

    Two models differ if all sets of models that hold both are unequal, a set of s of k models at the level
    1 − (1 − α)^(s/k), and sets of k − 1 and k models at α. The p of a pair is the smallest α at which it is so.

    Args:
        table: Who is better than whom [N, N].
        models: The runs of each model, by their index.

    Returns:
        p for each pair, in the order of the models.
    """
    names = list(models)
    pairs = list(combinations(names, 2))
    if len(names) > MOST_IN_SUBSETS:
        return _holm({pair: p_value(table, [models[name] for name in pair]) for pair in pairs})
    found = dict.fromkeys(pairs, 0.0)
    for size in range(2, len(names) + 1):
        for subset in combinations(names, size):
            p = p_value(table, [models[name] for name in subset])
            if size < len(names) - 1:
                p = 1 - (1 - p) ** (len(names) / size)
            for pair in combinations(subset, 2):
                found[pair] = max(found[pair], p)
    return found


def _spread(scores: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far apart the groups' sums are [P], of scores [P, N] in the order of the groups."""
    sums = np.add.reduceat(scores, np.cumsum([0, *sizes[:-1]]), axis=1)
    spread: NDArray[np.float64] = (sums**2 / sizes).sum(axis=1)
    return spread


def _holm(p_values: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    adjusted, highest = {}, 0.0
    for rank, pair in enumerate(sorted(p_values, key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[pair]))
        adjusted[pair] = highest
    return {pair: adjusted[pair] for pair in p_values}
