"""What becomes of a claim, given the figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks.memory.statistics import Estimate
from benchmarks.results.markdown import NOTHING, table, than

REPRODUCED, IN_PART, REFUTED, NOT_MEASURED = "reproduced", "in part", "refuted", "not measured"
NOT_SHOWN = "not shown"
MET, MISSED = "met", "missed"
MIN_SEEDS = 3
ROUNDING = 1e-9  # means of the same scores differ by less, in the order in which they are summed


class Verdict(NamedTuple):
    """A claim, with what was found and what that makes of it."""

    claim: str
    found: str
    verdict: str


def verdict_table(verdicts: Iterable[Verdict], head: str) -> str:
    rows = [[v.claim, v.found or NOTHING, f"**{v.verdict}**"] for v in verdicts]
    return table([[head, "here", "verdict"], *rows])


def at_most(claim: str, ratios: Mapping[str, float], limit: float, less: str, more: str) -> Verdict:
    """Judge whether something costs at most `limit` times as much, in each of the cases that were measured.

    Args:
        claim: What is claimed.
        ratios: Case → how many times as much it costs.
        limit: The largest ratio of which the claim is true.
        less: The word for a ratio below 1.
        more: The word for a ratio above 1.
    """
    found = "; ".join(f"{case}: {than(ratio, less, more)}" for case, ratio in ratios.items())
    return Verdict(claim, found, of_cases([ratio <= limit for ratio in ratios.values()]))


def of_cases(true: list[bool], everywhere: str = REPRODUCED, nowhere: str = REFUTED) -> str:
    """Judge a claim that is about several cases."""
    if not true:
        return NOT_MEASURED
    if all(true):
        return everywhere
    return IN_PART if any(true) else nowhere


class Comparison(NamedTuple):
    """Two models on one task, at equal steps.

    Attributes:
        ours: The success of one, with its interval.
        theirs: The success of the other.
        seeds: How many runs the one with fewer has.
        steps: Median steps until it is solved, ours in multiples of theirs; None if not all runs solved it.
    """

    ours: Estimate
    theirs: Estimate
    seeds: int
    steps: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as often ours succeeds."""
        return self.ours.value / self.theirs.value if self.theirs.value else float("inf")

    @property
    def apart(self) -> bool:
        """Whether the two intervals have nothing in common; with one seed there is no interval."""
        gap = max(self.ours.low - self.theirs.high, self.theirs.low - self.ours.high)
        return self.seeds > 1 and gap > ROUNDING

    def better_by(self, ratio: float) -> bool:
        """Whether ours is `ratio` times as good, beyond what seeds leave open."""
        return self.ratio >= ratio and self.apart

    def cannot_be_better_by(self, ratio: float) -> bool:
        """Whether ours is less than `ratio` times as good whatever the intervals leave open."""
        return self.ours.high < ratio * self.theirs.low


def some_task(claim: str, comparisons: Mapping[str, Comparison], ratio: float) -> Verdict:
    """Judge whether on some task the success is `ratio` times as high.

    It is refuted where the intervals of every task rule it out, and not shown where they leave it open. Tasks of fewer
    than `MIN_SEEDS` seeds carry no claim.
    """
    enough = {task: c for task, c in comparisons.items() if c.seeds >= MIN_SEEDS}
    if not enough:
        seeds = max((c.seeds for c in comparisons.values()), default=0)
        found = f"{seeds} of {MIN_SEEDS} seeds so far" if seeds else ""
        return Verdict(claim, found, NOT_MEASURED)
    best = max(enough, key=lambda task: (enough[task].better_by(ratio), enough[task].ratio))
    c = enough[best]
    found = (
        f"{best}: {c.ours.value:.2f} against {c.theirs.value:.2f}, {c.ratio:.2f} ×, {c.seeds} seeds, "
        f"intervals {'apart' if c.apart else 'overlap'}"
    )
    if c.better_by(ratio):
        return Verdict(claim, found, REPRODUCED)
    ruled_out = all(each.cannot_be_better_by(ratio) for each in enough.values())
    return Verdict(claim, found, REFUTED if ruled_out else NOT_SHOWN)
