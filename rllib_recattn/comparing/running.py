"""Train what is missing: searches first, then the compared runs seed by seed, each written when it has ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rllib_recattn.comparing.early_stop import most_steps
from rllib_recattn.comparing.plan import Plan, PlannedRun
from rllib_recattn.comparing.pool import Pool
from rllib_recattn.comparing.result import Ending, Point, RunResult, write_atomically
from rllib_recattn.comparing.search import chosen_rate
from rllib_recattn.comparing.solving import first_confirmed


@dataclass
class ActiveRun:
    """A run that is under way.

    Attributes:
        run: Which.
        curve: Its iterations so far.
        ended: Why it has ended, once it has and is only evaluated.
        machine: Where it runs.
    """

    run: PlannedRun
    curve: list[Point] = field(default_factory=list)
    ended: Ending | None = None
    machine: dict[str, Any] = field(default_factory=dict)


@dataclass
class State:
    """How far a comparison is.

    Attributes:
        done: The runs that have ended, with what they left.
        active: Those that are under way.
        failed: Those that failed now; they are tried again by the next command, but for those of a search.
    """

    done: dict[PlannedRun, RunResult] = field(default_factory=dict)
    active: dict[PlannedRun, ActiveRun] = field(default_factory=dict)
    failed: dict[PlannedRun, str] = field(default_factory=dict)


def state_of(plan: Plan) -> State:
    """Read what a comparison has left so far.

    Raises:
        SettingsError: If a file holds something else.
    """
    state = State()
    for contender in plan.contenders:
        for run in plan.search_runs(contender):
            _read(plan, run, state)
        rate = chosen_rate(plan, contender, state.done)
        for seed in range(plan.seeds):
            if rate is not None:
                _read(plan, plan.compared_run(contender, seed, rate), state)
    return state


def missing_runs(plan: Plan, state: State) -> list[PlannedRun]:
    """Return the runs that can begin now: not those whose model's search has not ended."""
    searches = [run for contender in plan.contenders for run in plan.search_runs(contender)]
    rates = {contender.label: chosen_rate(plan, contender, state.done) for contender in plan.contenders}
    compared = [
        plan.compared_run(contender, seed, rate)
        for seed in range(plan.seeds)
        for contender in plan.contenders
        if (rate := rates[contender.label]) is not None
    ]
    begun = {*state.done, *state.active, *state.failed}
    return [run for run in (*searches, *compared) if run not in begun]


def train_missing(
    plan: Plan, state: State, pool: Pool, jobs: int, window: int, on_change: Callable[[PlannedRun, State], object]
) -> None:
    """Train all that is missing.

    Args:
        plan: What to train.
        state: How far it is; brought up to date.
        pool: Where runs train.
        jobs: How many at the same time.
        window: Episodes over which RLlib's metrics are means.
        on_change: Is called after each iteration, and when a run has ended, with the run.
    """
    while True:
        for run in missing_runs(plan, state)[: max(0, jobs - len(state.active))]:
            state.active[run] = ActiveRun(run)
            pool.begin(run, plan.experiment_of(run), list(plan.goals))
            pool.ask(run, "machine")
            pool.ask(run, "iterate")
        if not state.active:
            return
        for run, what, answer in pool.answers():
            if run in state.active:
                _take(plan, state, pool, state.active[run], what, answer, window)
                on_change(run, state)


def _take(plan: Plan, state: State, pool: Pool, active: ActiveRun, what: str, answer: Any, window: int) -> None:
    run = active.run
    if what == "machine":
        active.machine = answer
    elif what == "iterate":
        active.curve.append(answer)
        active.ended = _ending(plan, state, active, window)
        if active.ended is None:
            pool.ask(run, "iterate")
        elif run.kind == "compared":
            pool.ask(run, "evaluate", plan.settings.episodes)
        else:
            _finish(plan, state, pool, active, window)
    elif what == "evaluate":
        _finish(plan, state, pool, active, window, evaluation=answer)
    else:
        active.ended = "failed"
        _finish(plan, state, pool, active, window, error="".join(traceback.format_exception_only(answer)).strip())


def _ending(plan: Plan, state: State, active: ActiveRun, window: int) -> Ending | None:
    """Say why a run has to end now; None: it goes on."""
    if first_confirmed(active.curve, plan.goals, window) is not None:
        return "solved"
    steps = active.curve[-1].steps
    if steps >= active.run.steps:
        return "budget"
    if plan.early_stop and active.run.kind == "compared" and steps >= _most_steps(plan, state):
        return "stopped early"
    return None


def _most_steps(plan: Plan, state: State) -> float:
    outcomes = {label: [result.outcome for result in results] for label, results in ended_runs(plan, state).items()}
    return most_steps(outcomes, plan.seeds)


def _finish(plan: Plan, state: State, pool: Pool, active: ActiveRun, window: int, **more: Any) -> None:
    run = active.run
    assert active.ended is not None
    solved = first_confirmed(active.curve, plan.goals, window) if active.ended == "solved" else None
    result = RunResult(
        label=run.contender.label,
        seed=run.seed,
        learning_rate=run.rate,
        ended=active.ended,
        solved_steps=None if solved is None else solved.steps,
        solved_seconds=None if solved is None else solved.seconds,
        machine=active.machine,
        curve=active.curve,
        **more,
    )
    del state.active[run]
    # A rate with which training breaks down is an answer of the search; a compared run should be tried again.
    if result.ended == "failed" and run.kind == "compared":
        state.failed[run] = str(result.error)
    else:
        write_atomically(run.path, result.model_dump_json() + "\n")
        state.done[run] = result
    pool.end(run)


def _read(plan: Plan, run: PlannedRun, state: State) -> None:
    result = run.result()
    if result is not None and (plan.early_stop or result.ended != "stopped early"):
        state.done[run] = result


def ended_runs(plan: Plan, state: State) -> dict[str, list[RunResult]]:
    """Return the compared runs that have ended, by the label of their model and in the order of their seeds."""
    found: dict[str, list[RunResult]] = {contender.label: [] for contender in plan.contenders}
    for run, result in sorted(state.done.items(), key=lambda item: item[0].seed):
        if run.kind == "compared":
            found[run.contender.label].append(result)
    return {label: results for label, results in found.items() if results}
