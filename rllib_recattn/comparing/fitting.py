"""What fits into a budget of time: a short trial of each model says how fast it trains."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rllib_recattn.comparing import SEARCH_SHARE
from rllib_recattn.comparing.plan import Plan, PlannedRun
from rllib_recattn.comparing.pool import Pool
from rllib_recattn.comparing.result import Point
from rllib_recattn.errors import SettingsError

_ITERATIONS = 3
_EPISODES = 20
_RESERVE = 0.9  # for what takes longer when runs disturb each other, and for the report


@dataclass(frozen=True)
class Speed:
    """How fast a model trains.

    Attributes:
        begin: Seconds until the first iteration begins.
        per_step: Seconds of an environment step, learning included.
        per_episode: Seconds of an episode of evaluation.
        batch: Environment steps of an iteration.
    """

    begin: float
    per_step: float
    per_episode: float
    batch: int


def fit_budget(plan: Plan, pool: Pool, jobs: int) -> tuple[Plan, dict[str, Speed]]:
    """Find out how many steps each run can have, such that all of them together end within the budget.

    Args:
        plan: A plan with a budget of time.
        pool: Where runs train.
        jobs: How many at the same time.

    Returns:
        The plan with that many steps, and how fast each model was.

    Raises:
        SettingsError: If not even two iterations fit; with the time that would do.
    """
    begun, seconds = time.perf_counter(), plan.budget.seconds
    assert seconds is not None
    rate = plan.settings.rates[len(plan.settings.rates) // 2]
    speeds = _measure(plan, pool, jobs, [plan.compared_run(contender, 0, rate) for contender in plan.contenders])
    left = _RESERVE * seconds - (time.perf_counter() - begun)
    fixed, per_step = 0.0, 0.0
    searched = len(plan.settings.rates) * plan.settings.search_seeds * plan.searches
    for speed in speeds.values():
        fixed += (plan.seeds + searched) * speed.begin + plan.seeds * plan.settings.episodes * speed.per_episode
        per_step += (plan.seeds + searched * SEARCH_SHARE) * speed.per_step
    n_runs = len(plan.contenders) * (plan.seeds + searched)
    at_once = max(1, min(jobs, n_runs))
    steps = int((left * at_once - fixed) / per_step)
    least = 2 * max(speed.batch for speed in speeds.values()) / (SEARCH_SHARE if searched else 1)
    if steps < least:
        needed = ((least * per_step + fixed) / at_once + time.perf_counter() - begun) / _RESERVE
        raise SettingsError(
            f"budget = {plan.budget.text!r}: is too short for {n_runs} runs, {at_once} at a time: should be at least "
            f"{int(needed / 60) + 1}m; fewer models, seeds or learning rates need less"
        )
    rounded = int(float(f"{steps:.2g}"))
    return plan.with_steps(rounded if rounded <= steps else int(rounded * 0.95)), speeds


def _measure(plan: Plan, pool: Pool, jobs: int, trials: list[PlannedRun]) -> dict[str, Speed]:
    waiting, found = list(trials), {}
    begun: dict[PlannedRun, float] = {}
    points: dict[PlannedRun, list[Point]] = {}
    evaluated: dict[PlannedRun, float] = {}
    while waiting or begun:
        while waiting and len(begun) < jobs:
            run = waiting.pop(0)
            begun[run], points[run] = time.perf_counter(), []
            pool.begin(run, plan.experiment_of(run), list(plan.goals))
            pool.ask(run, "iterate")
        for run, what, answer in pool.answers():
            if what == "failed":
                raise SettingsError(f"{run.contender.label}: cannot be trained: {answer}") from answer
            if what == "iterate":
                points[run].append(answer)
                if len(points[run]) == 1:
                    begun[run] = time.perf_counter() - begun[run] - answer.seconds
                done = len(points[run]) == _ITERATIONS
                evaluated[run] = time.perf_counter()
                pool.ask(run, "evaluate" if done else "iterate", *([_EPISODES] if done else []))
                continue
            first, *_, last = points[run]
            found[run.contender.label] = Speed(
                begin=max(0.0, begun.pop(run)),
                per_step=(last.seconds - first.seconds) / max(1, last.steps - first.steps),
                per_episode=(time.perf_counter() - evaluated[run]) / _EPISODES,
                batch=first.steps,
            )
            pool.end(run)
    return found
