"""Steps until a task was solved, of runs of which some did not solve it: the estimate of Kaplan and Meier.

A run that ended unsolved is *censored*: it is known that it had not solved the task by then, and nothing of what would
have come. Source: Kaplan and Meier, Journal of the American Statistical Association 53, 1958.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rllib_recattn.comparing.outcomes import Outcome


@dataclass(frozen=True)
class SolvedShare:
    """The share of runs that have solved the task, by steps: a staircase.

    Attributes:
        steps: Where it rises, in order.
        shares: How high it is from there on.
        censored: The steps at which runs ended unsolved.
    """

    steps: tuple[float, ...]
    shares: tuple[float, ...]
    censored: tuple[float, ...]

    def at(self, steps: float) -> float:
        """Return the share that has solved the task by then."""
        return max((share for at, share in zip(self.steps, self.shares, strict=True) if at <= steps), default=0.0)

    @property
    def median(self) -> float | None:
        """The steps by which half of the runs have solved the task; None if that was not seen."""
        return next((at for at, share in zip(self.steps, self.shares, strict=True) if share >= 0.5), None)

    def mean_within(self, budget: float) -> float:
        """Return the mean of the steps until solved, or until the budget ends: the area above the staircase."""
        edges = [0.0, *(step for step in self.steps if step < budget), budget]
        return sum((1 - self.at(left)) * (right - left) for left, right in pairwise(edges))


def solved_share(outcomes: Sequence[Outcome]) -> SolvedShare:
    """Estimate which share of a model's runs has solved the task by which steps.

    Examples:
        >>> found = solved_share([Outcome(100, 120, 1), Outcome(None, 150, 0.5, True), Outcome(200, 220, 1)])
        >>> [round(share, 3) for share in found.shares], found.median
        ([0.333, 1.0], 200)
    """
    ends = [(run.steps, False) if run.solved_steps is None else (run.solved_steps, True) for run in outcomes]
    steps, shares, unsolved = [], [], 1.0
    for step in sorted({at for at, solved in ends if solved}):
        at_risk = sum(at >= step for at, _ in ends)
        unsolved *= 1 - sum(at == step and solved for at, solved in ends) / at_risk
        steps.append(step)
        shares.append(1 - unsolved)
    return SolvedShare(tuple(steps), tuple(shares), tuple(sorted(at for at, solved in ends if not solved)))
