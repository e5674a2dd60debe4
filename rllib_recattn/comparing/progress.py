"""What is seen of a comparison while it trains: a table in a terminal, a line for each run that has ended elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from rllib_recattn.comparing.plan import Plan, PlannedRun
from rllib_recattn.comparing.rates import rate_text
from rllib_recattn.comparing.result import Point, RunResult
from rllib_recattn.comparing.running import State, missing_runs
from rllib_recattn.comparing.search import chosen_rate
from rllib_recattn.experiment.reports.text import MISSING, duration_text


class Progress:
    """Shows how far a comparison is.

    Args:
        console: Where.
        live: Draws the table again and again; None: lines are printed.
    """

    def __init__(self, console: Console, live: Live | None):
        self._console = console
        self._live = live
        self._plan: Plan | None = None
        self._told: set[PlannedRun] = set()

    def begin(self, plan: Plan, state: State, jobs: int) -> None:
        """Say what is going to be trained."""
        self._plan = plan
        self._told = {*state.done}
        self._console.print(plan_text(plan, state, jobs))

    def update(self, run: PlannedRun, state: State) -> None:
        """Show an iteration, or the end of a run."""
        assert self._plan is not None
        if run not in self._told and run in state.done:
            self._told.add(run)
            self._console.print(f"{run.label}: {ending_text(state.done[run])}")
        elif run in state.failed and run not in self._told:
            self._told.add(run)
            self._console.print(f"{run.label}: failed: {state.failed[run]}", style="red")
        if self._live is not None:
            self._live.update(progress_table(self._plan, state), refresh=True)


@contextmanager
def showing_progress(console: Console) -> Iterator[Progress]:
    """Show progress on a console for as long as the context lasts."""
    if not console.is_terminal:
        yield Progress(console, None)
        return
    # Drawn by no thread of its own, whose output could come in the middle of another's.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield Progress(console, live)


def plan_text(plan: Plan, state: State, jobs: int) -> str:
    """Say what is going to be trained, and with what sizes."""
    settings = plan.settings
    there = len(state.done)
    n_searches = sum(len(plan.search_runs(contender)) for contender in plan.contenders)
    n_runs = len(plan.contenders) * plan.seeds
    lines = [
        f"{plan.experiment.name}: {len(plan.contenders)} models × {plan.seeds} seeds, {settings.steps:,} steps each "
        f"(budget {plan.budget.text}), {jobs} at a time, in {plan.directory}"
    ]
    for contender in plan.contenders:
        width = contender.model.settings.get("d_model")
        searched = f", d_model {width} was searched for" if contender.searched and width else ""
        lines.append(f"  {contender.label}: {contender.parameters:,} parameters{searched}")
    if plan.searches:
        rates = ", ".join(map(rate_text, settings.rates))
        lines.append(f"  learning rates {rates}: {n_searches} runs of {settings.search_steps:,} steps before")
    if not plan.goals:
        lines.append("  the file names no goal under 'stop': models are compared by their score after the budget")
    if there:
        lines.append(f"  {there} of {n_runs + n_searches} runs are there already")
    return "\n".join(lines)


def ending_text(result: RunResult) -> str:
    """Say how a run ended: ``solved after 40,960 steps, score 0.98, 31 s``."""
    if result.ended == "failed":
        return f"failed: {result.error}"
    how = {
        "solved": f"solved after {result.solved_steps or 0:,} steps",
        "budget": f"not solved in {result.steps:,} steps",
        "stopped early": f"not solved, ended early after {result.steps:,} steps",
    }[result.ended]
    score = f"score {result.score:.2f}" if result.score is not None else f"in training{_reached(result.curve)}"
    return f"{how}, {score}, {duration_text(result.seconds)}"


def progress_table(plan: Plan, state: State) -> Table:
    """Return the table of a comparison that is under way."""
    n_missing = len(missing_runs(plan, state))
    table = Table(box=SIMPLE_HEAD, pad_edge=False, caption=f"{len(state.active)} training, {n_missing} waiting")
    for index, heading in enumerate(("model", "learning rate", "ended", "solved", "training now")):
        table.add_column(heading, justify="right" if 0 < index < 4 else "left", no_wrap=True)
    for contender in plan.contenders:
        label = contender.label
        rate = chosen_rate(plan, contender, state.done)
        ended = [r for run, r in state.done.items() if run.contender.label == label and run.kind == "compared"]
        now = [_now(active.run, active.curve) for run, active in state.active.items() if run.contender.label == label]
        table.add_row(
            label,
            "searching" if rate is None else rate_text(rate),
            f"{len(ended)} of {plan.seeds}",
            str(sum(result.solved_steps is not None for result in ended)) if plan.goals else MISSING,
            "; ".join(now),
        )
    return table


def _now(run: PlannedRun, curve: Sequence[Point]) -> str:
    what = f"seed {run.seed}" if run.kind == "compared" else f"lr {rate_text(run.rate)}"
    if not curve:
        return f"{what} begins"
    return f"{what} {100 * min(1.0, curve[-1].steps / run.steps):.0f} %{_reached(curve)}"


def _reached(curve: Sequence[Point]) -> str:
    """Write what training last reported: `` success 0.53``, else the return."""
    for name, value in (("success", curve[-1].success_rate), ("return", curve[-1].mean_return)):
        if value is not None:
            return f" {name} {value:.2f}"
    return ""
