"""Stop criteria whose metric never comes, such as the success rate of an environment that knows no success.

Tune waits for them forever. Here they are told to the user, and a trial that nothing else would end is ended, with a
checkpoint, as its scheduler is told.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray.tune.experiment import Trial

from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.records.metrics import RETURN, SUCCESS
from rllib_recattn.experiment.reports.text import report_console

_PATIENCE = 3  # iterations in which a metric should have come
_EPISODES_OF_SUCCESS = "metrics_num_episodes_for_smoothing"  # before there are so many, there is no success rate
_OF_AGENTS = ("agent_episode_return", "module_episode_return", "policy_reward_mean", "num_agent", "num_module")


class UnreportedMetrics:
    """Looks out for the metrics of an experiment's stop criteria.

    Args:
        experiment: The experiment.

    Attributes:
        endless: What to tell the user of a trial that was ended because nothing else would have; None: there is none.
    """

    def __init__(self, experiment: Experiment):
        self.endless: str | None = None
        self._stop = tuple(experiment.stop)
        self._ends_anyway = experiment.tune.time_budget_s is not None or hasattr(experiment.tune.scheduler, "max_t")
        self._episodes_of_success = experiment.config.get(_EPISODES_OF_SUCCESS, 100)
        self._waited: dict[tuple[str, str], float] = defaultdict(float)
        self._episodes: dict[str, float] = defaultdict(float)
        self._told: set[str] = set()

    def ends(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Take in the flat result of an iteration, and say whether to end the trial, which nothing else would."""
        self._episodes[trial_id] += _number(result, "env_runners/num_episodes") or 0
        missing = [metric for metric in self._stop if self._is_missing(trial_id, metric, result)]
        for metric in missing:
            if metric not in self._told:
                self._told.add(metric)
                report_console().print(f"Note: {_explanation(metric)}", style="yellow")
        if self._ends_anyway or len(missing) < len(self._stop):
            return False
        self.endless = (
            f"Training would never end: none of its stop criteria is reported ({', '.join(missing)}). Name one that "
            "is met in any case, e.g. training_iteration or time_total_s."
        )
        return True

    def _is_missing(self, trial_id: str, metric: str, result: Mapping[str, Any]) -> bool:
        sign = _comes_with(metric)
        if _number(result, metric) is not None:
            self._waited[trial_id, metric] = -math.inf
        elif sign is not None and _number(result, sign) is not None:
            self._waited[trial_id, metric] += 1
        # A process that samples counts its episodes from 0 again after it was lost: hence twice as many.
        enough = 2 * _setting(result, _EPISODES_OF_SUCCESS, self._episodes_of_success) if metric == SUCCESS else 0
        return self._waited[trial_id, metric] >= _PATIENCE and self._episodes[trial_id] >= enough


_watch: UnreportedMetrics | None = None  # one for the process, as the time budget is


@contextmanager
def looking_out(watch: UnreportedMetrics) -> Iterator[None]:
    """Look out for metrics while an experiment runs, for as long as the context lasts."""
    global _watch
    _watch = watch
    try:
        yield
    finally:
        _watch = None


def never_ends(trial: Trial, result: Mapping[str, Any]) -> bool:
    """Say whether a trial of the running experiment is to be ended after an iteration, since nothing else would."""
    return _watch is not None and _watch.ends(trial.trial_id, result)


def _comes_with(metric: str) -> str | None:
    """Return a metric that is reported in every iteration in which another could be; None: that one comes in time."""
    name = metric.removeprefix("evaluation/")
    if name.startswith("env_runners/"):
        # An agent may play seldom, and its policy with it.
        is_of_agent = name.removeprefix("env_runners/").startswith(_OF_AGENTS)
        return None if is_of_agent else f"{'evaluation/' * (name != metric)}{RETURN}"
    if metric.startswith(("learners/", "info/learner/")):
        return f"{metric.rpartition('/')[0]}/total_loss"
    return None


def _explanation(metric: str) -> str:
    if not metric.endswith(SUCCESS):
        return f"{metric} ends nothing: it is not reported by this algorithm and environment. Stop by another metric."
    return (
        f"{metric} ends nothing: no episode says whether it was a success. Let the environment put `success` into the "
        f"info of an episode's last step, or stop by {metric.removesuffix(SUCCESS)}{RETURN}."
    )


def _number(result: Mapping[str, Any], metric: str) -> float | None:
    try:
        value = float(result[metric])
    except (KeyError, TypeError, ValueError):
        return None
    return None if math.isnan(value) else value


def _setting(result: Mapping[str, Any], name: str, otherwise: float) -> float:
    """Return a setting of a trial, whose result holds all of them, or in a sweep what was chosen."""
    for key in (f"config/{name}", f"config/config.{name}"):
        if key in result:
            return float(result[key])
    return otherwise
