"""What a comparison has come to: the numbers that its table, page, figure and JSON show."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rllib_recattn.comparing import INTERVALS_FROM
from rllib_recattn.comparing.contenders import Contender
from rllib_recattn.comparing.costs import Cost
from rllib_recattn.comparing.intervals import Bounds, bootstrap_interval, interquartile_mean
from rllib_recattn.comparing.plan import Plan
from rllib_recattn.comparing.result import Measure, RunResult
from rllib_recattn.comparing.survival import SolvedShare, solved_share
from rllib_recattn.comparing.verdict import Verdict, judge


@dataclass(frozen=True)
class ModelSummary:
    """A model and its runs.

    Attributes:
        contender: The model.
        runs: Those that are compared, by seed.
        cost: What it costs.
        searched: How a learning rate is written → what its search came to; empty if there was none.
    """

    contender: Contender
    runs: tuple[RunResult, ...]
    cost: Cost
    searched: Mapping[str, float | None]

    @property
    def n_solved(self) -> int:
        """How many runs solved the task."""
        return sum(run.solved_steps is not None for run in self.runs)

    @property
    def stopped_early(self) -> int:
        """How many runs were ended before their budget, since they could not win any more."""
        return sum(run.ended == "stopped early" for run in self.runs)

    @cached_property
    def survival(self) -> SolvedShare:
        """The share of runs that has solved the task, by steps."""
        return solved_share([run.outcome for run in self.runs])

    @property
    def median_seconds(self) -> float | None:
        """The seconds of training until half of the runs had solved the task; None if that was not seen."""
        seconds = sorted(run.solved_seconds for run in self.runs if run.solved_seconds is not None)
        half = (len(self.runs) + 1) // 2
        return seconds[half - 1] if len(seconds) >= half else None

    @property
    def scores(self) -> list[float]:
        """What the trained policies score, by seed."""
        return [run.outcome.score for run in self.runs]

    @property
    def score(self) -> float:
        """Their interquartile mean; of fewer than five their mean."""
        enough = len(self.runs) >= INTERVALS_FROM
        return interquartile_mean(np.array(self.scores)) if enough else statistics.fmean(self.scores)

    @cached_property
    def score_bounds(self) -> Bounds | None:
        """Its 95 % interval; None with few seeds."""
        return bootstrap_interval(np.array(self.scores)) if len(self.runs) >= INTERVALS_FROM else None

    @property
    def seconds_per_100k(self) -> float:
        """Seconds of training for 100,000 environment steps, the median of its runs."""
        return statistics.median(1e5 * run.seconds / max(1, run.steps) for run in self.runs)


@dataclass(frozen=True)
class Comparison:
    """The result of :func:`rllib_recattn.compare`.

    Attributes:
        plan: What was compared, and how.
        models: By label, the models that have runs.
        failed: By how a run is called, what went wrong with those that failed.
        left: How many runs are still to be trained.
    """

    plan: Plan
    models: Mapping[str, ModelSummary]
    failed: Mapping[str, str] = field(default_factory=dict)
    left: int = 0

    @cached_property
    def verdict(self) -> Verdict:
        """The order of the models, and which can be told apart."""
        return judge({label: [run.outcome for run in model.runs] for label, model in self.models.items()})

    @property
    def ranked(self) -> list[ModelSummary]:
        """The models, those that were seen to be ahead first."""
        return [self.models[label] for label in self.verdict.ranked]

    @property
    def winner(self) -> ModelSummary:
        """The model that was seen to be ahead."""
        return self.ranked[0]

    @property
    def measure(self) -> Measure:
        """What scores and curves are: the share of successes, if the environment says so, or the return."""
        runs = [run for model in self.models.values() for run in model.runs]
        has_rate = any(run.evaluation is not None and run.evaluation.success_rate is not None for run in runs)
        return "success rate" if has_rate else "return"

    @property
    def has_goal(self) -> bool:
        """Whether the experiment says when its task is solved."""
        return bool(self.plan.goals)
