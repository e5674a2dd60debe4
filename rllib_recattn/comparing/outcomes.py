"""How a run ended, and which of two runs ended better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Attributes:
        solved_steps: Environment steps until it had solved the task; None if it did not.
        steps: Environment steps after which it ended.
        score: Of its policy in greedy episodes: the share of successes, else the mean return.
        stopped_early: Whether it ended before its budget without having solved the task.
    """

    solved_steps: float | None
    steps: float
    score: float
    stopped_early: bool = False


def compare_outcomes(first: Outcome, second: Outcome) -> int:
    """Return 1 if the first run ended better, −1 if the second did, 0 if neither is known to have.

    Of two runs that solved the task, the sooner is better. One that solved it is better than one that had not by then.
    Of two that did not, the one with the higher score is better, if both used up their budget. So a run that was
    stopped early is never held to have done worse than it had done until then (the order of Finkelstein and Schoenfeld,
    Statistics in Medicine 18, 1999: what can be decided by time is, the rest is decided by the score).

    Examples:
        >>> compare_outcomes(Outcome(100, 120, 0.9), Outcome(None, 500, 1.0))
        1
        >>> compare_outcomes(Outcome(300, 320, 0.9), Outcome(None, 200, 0.5, stopped_early=True))
        0
    """
    if first.solved_steps is not None or second.solved_steps is not None:
        first_at = float("inf") if first.solved_steps is None else first.solved_steps
        second_at = float("inf") if second.solved_steps is None else second.solved_steps
        if first_at < second_at:
            return int(second.solved_steps is not None or _lasted(second, first_at))
        return -int(second_at < first_at and (first.solved_steps is not None or _lasted(first, second_at)))
    if first.stopped_early or second.stopped_early:
        return 0
    return int(first.score > second.score) - int(first.score < second.score)


def wins(outcomes: Sequence[Outcome]) -> NDArray[np.int64]:
    """Return which of N runs are better than which [N, N]: 1, 0 or −1, the negative of its transpose."""
    import numpy as np

    return np.array([[compare_outcomes(a, b) for b in outcomes] for a in outcomes], dtype=np.int64)


def probability_better(table: NDArray[np.int64]) -> float:
    """Return how likely a run of one model is better than one of another, a tie counting as half.

    Args:
        table: 1, 0 or −1 for each pair of runs [N_first, N_second].
    """
    return float((table + 1).mean() / 2)


def _lasted(run: Outcome, steps: float) -> bool:
    """Whether a run that did not solve the task is known not to have solved it by then.

    One that used up its budget counts for all times: whoever solved the task within theirs did so by the same budget.
    """
    return not run.stopped_early or run.steps >= steps
