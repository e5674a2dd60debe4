"""Which learning rate of a search is taken: the one with which the whole curve is highest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING

from rllib_recattn.comparing.rates import Rate, rate_text
from rllib_recattn.comparing.result import Measure, RunResult

if TYPE_CHECKING:
    from rllib_recattn.comparing.contenders import Contender
    from rllib_recattn.comparing.plan import Plan, PlannedRun


def mean_reached(result: RunResult, steps: int, measure: Measure) -> float:
    """Return the mean over a run's budget of what training reported.

    Between two iterations the later one counts. What comes before the first report counts as that, and what comes after
    the end of a run that has solved the task as its last one.

    Args:
        result: The run.
        steps: Its budget.
        measure: The share of successes or the return.

    Returns:
        The mean; minus infinity if it failed or nothing was reported.
    """
    reported = [(point.steps, value) for point in result.curve if (value := point.value(measure)) is not None]
    if result.ended == "failed" or not reported:
        return -math.inf
    total, before = 0.0, 0
    for at, value in reported:
        total += (min(at, steps) - min(before, steps)) * value
        before = at
    total += max(0, steps - before) * reported[-1][1]
    return total / steps


def search_scores(plan: Plan, contender: Contender, done: Mapping[PlannedRun, RunResult]) -> dict[str, float | None]:
    """Return what each learning rate came to, by how it is written; None: its runs have not all ended.

    It is compared by the share of successes if all of a model's runs report one, which take a hundred episodes for it,
    and else by the return.
    """
    ended_runs = [done[run] for run in plan.search_runs(contender) if run in done and done[run].ended != "failed"]
    has_rate = all(any(point.success_rate is not None for point in result.curve) for result in ended_runs)
    measure: Measure = "success rate" if has_rate else "return"
    scores: dict[str, float | None] = {}
    for rate in plan.settings.rates:
        runs = [run for run in plan.search_runs(contender) if run.rate == rate]
        ended = [mean_reached(done[run], plan.settings.search_steps, measure) for run in runs if run in done]
        scores[rate_text(rate)] = fmean(ended) if runs and len(ended) == len(runs) else None
    return scores


def chosen_rate(plan: Plan, contender: Contender, done: Mapping[PlannedRun, RunResult]) -> Rate | None:
    """Return the learning rate of a model's compared runs; None while it is searched for.

    Of equals it is the one nearest to the middle, which is the experiment's own.
    """
    rates = plan.settings.rates
    if not plan.searches:
        return rates[0]
    scores = search_scores(plan, contender, done)
    if any(score is None for score in scores.values()):
        return None
    middle = (len(rates) - 1) / 2
    order = sorted(range(len(rates)), key=lambda index: abs(index - middle))
    return rates[max(order, key=lambda index: scores[rate_text(rates[index])] or 0.0)]
