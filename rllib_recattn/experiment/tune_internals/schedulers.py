"""What of Tune's trial schedulers and search algorithms is not public."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial

from rllib_recattn.private_names import private, set_private

# Tune tells them nothing of what trials reported before a resume.
_RESUME = "to let schedulers of resumed sweeps know what was before"


def metric_of(scheduler: Any) -> str:
    """Return the metric by which a scheduler compares trials, which Tune has told it by then."""
    metric: str = private(scheduler, "_metric", _RESUME)
    return metric


def score(scheduler: Any, value: float) -> float:
    """Return a value of the metric as a scheduler compares it: more is better."""
    return float(private(scheduler, "_metric_op", _RESUME) * value)


def time_attribute(scheduler: Any) -> str:
    """Return the key of a result by which a scheduler counts time."""
    attribute: str = private(scheduler, "_time_attr", _RESUME)
    return attribute


def bracket_of(scheduler: Any, trial: Trial) -> Any:
    """Return the bracket of asynchronous successive halving that a trial is in."""
    return private(scheduler, "_trial_info", _RESUME)[trial.trial_id]


def results_of(scheduler: Any, trial: Trial) -> list[dict[str, Any]]:
    """Return the list to which the median stopping rule adds the results of a trial."""
    results: list[dict[str, Any]] = private(scheduler, "_results", _RESUME)[trial]
    return results


def begin_population_member(scheduler: Any, trial: Trial, time: float) -> None:
    """Let population-based training know how long a trial has trained, and that it was perturbed when it was due."""
    state = private(scheduler, "_trial_state", _RESUME)[trial]
    interval = private(scheduler, "_perturbation_interval", _RESUME)
    for name, value in {"last_train_time": time, "last_perturbation_time": time // interval * interval}.items():
        set_private(state, name, value, _RESUME)


def set_target(searcher: Any, metric: str | None, mode: str | None) -> None:
    """Let a search algorithm of our own know what it searches for: only the constructor of Tune's class can be told."""
    for name, value in {"_metric": metric, "_mode": mode}.items():
        set_private(searcher, name, value, "to let a search algorithm take the metric that Tune tells it")
