"""Stop criteria: the metrics that end training. Tune only warns of a metric that never comes, and trains forever."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from rllib_recattn.errors import is_number, suggest_among_many
from rllib_recattn.migration.old_files import old_names
from rllib_recattn.migration.old_files.old_names import OLD_STACK_STOP_METRICS
from rllib_recattn.scope import ApiStack, Scope

_EPISODE_METRICS = [
    "agent_episode_return_mean/default_agent",
    "episode_duration_sec_mean",
    "episode_len_max",
    "episode_len_mean",
    "episode_len_min",
    "episode_return_max",
    "episode_return_mean",
    "episode_return_min",
    "module_episode_return_mean/default_policy",
    "num_agent_steps_sampled_lifetime/default_agent",
    "num_env_steps_sampled_lifetime",
    "num_episodes_lifetime",
    "num_module_steps_sampled_lifetime/default_policy",
    "success_rate",
]

_LEARNER_METRICS = [
    "__all_modules__/num_env_steps_trained_lifetime",
    "__all_modules__/num_module_steps_trained_lifetime",
    "default_policy/curr_entropy_coeff",
    "default_policy/curr_kl_coeff",
    "default_policy/default_optimizer_learning_rate",
    "default_policy/entropy",
    "default_policy/mean_kl_loss",
    "default_policy/num_module_steps_trained_lifetime",
    "default_policy/policy_loss",
    "default_policy/total_loss",
    "default_policy/vf_explained_var",
    "default_policy/vf_loss",
    "default_policy/vf_loss_unclipped",
]

STOP_METRICS = frozenset(
    [
        "iterations_since_restore",
        "num_env_steps_sampled_lifetime",
        "time_since_restore",
        "time_total_s",
        "training_iteration",
        *(f"env_runners/{metric}" for metric in _EPISODE_METRICS),
        *(f"evaluation/env_runners/{metric}" for metric in _EPISODE_METRICS),
        *(f"learners/{metric}" for metric in _LEARNER_METRICS),
    ]
)
"""The metrics in the results of RLlib and of this package that can end training."""

_COMMON = (
    "common ones are training_iteration, num_env_steps_sampled_lifetime, time_total_s, "
    "env_runners/episode_return_mean and env_runners/success_rate"
)


_AT_MOST_ONE = ("success_rate", "vf_explained_var")


def counts_effort(metric: str) -> bool:
    """Say whether a metric only counts effort (steps, iterations, time), so that reaching it solves nothing."""
    return any(part.startswith(("num_", "time_")) or "iteration" in part for part in metric.split("/"))


def bounds_of(metric: str) -> tuple[float, float]:
    """Return the number that a metric always reaches, so that it has to be more, and the highest that it can reach."""
    name = metric.rpartition("/")[2]
    can_be_negative = not (
        counts_effort(metric) or name.startswith("episode_len_") or name == "episode_duration_sec_mean"
    )
    low = -math.inf if can_be_negative and name != "success_rate" else 0
    return low, 1 if name in _AT_MOST_ONE else math.inf


def metrics_of(
    stack: ApiStack, policies: Collection[str] = ("default_policy",), agents: Collection[Any] = ("default_agent",)
) -> frozenset[str]:
    """Return the metrics in the results of an API stack.

    Args:
        stack: The API stack.
        policies: The names of the policies.
        agents: The ids of the agents.
    """
    metrics = STOP_METRICS if stack == "new" else OLD_STACK_STOP_METRICS
    if "default_policy" in policies:
        return metrics
    metrics = frozenset(
        metric.replace("agent_episode_return_", "agent_episode_returns_").replace(
            "module_episode_return_", "module_episode_returns_"
        )
        for metric in metrics
        if not metric.endswith("/success_rate")  # it is one agent's
    )
    metrics = _for_each("default_policy", policies, metrics)
    return _for_each("default_agent", map(str, agents), metrics)


def _for_each(part: str, names: Iterable[str], metrics: Iterable[str]) -> frozenset[str]:
    """Put each of `names` in the place of a part of metrics."""
    names = tuple(names)
    return frozenset(
        "/".join(name if each == part else each for each in metric.split("/")) for metric in metrics for name in names
    )


def check_stop(
    block: Mapping[str, Any],
    scope: Scope,
    *,
    evaluates: bool = True,
    metrics: Collection[str] | None = None,
) -> dict[str, float]:
    """Validate stop criteria.

    Args:
        block: Metric → value, as the user wrote it.
        scope: That of the block; gets a problem for each criterion that is wrong, and a note on each old name that is
            translated.
        evaluates: Whether the experiment evaluates while it trains, without which ``evaluation/…`` never comes.
        metrics: The metrics that there will be; None: those of one agent.

    Returns:
        The valid criteria under the metrics' present names.
    """
    criteria: dict[str, float] = {}
    valid = metrics_of(scope.stack) if metrics is None else metrics
    for metric, value in old_names.translate(block, old_names.metric_names(scope.stack), scope).items():
        if metric not in valid and isinstance(value, Mapping):
            right = ", ".join(f"{path}: {each}" for path, each in _flat(metric, value))
            scope.wrong(metric, value, f"should be written as {right}")
        elif metric not in valid:
            scope.problem(f"unknown metric {metric!r}: {suggest_among_many(metric, valid, _COMMON)}")
        elif not is_number(value):
            scope.wrong(metric, value, "should be a number")
        elif not _can_end(metric, value):
            scope.wrong(metric, value, f"should be {_right(metric, value)}")
        elif metric.startswith("evaluation/") and not evaluates:
            scope.problem(f"{metric} never comes without config.evaluation_interval; set it, e.g. to 10")
        else:
            criteria[metric] = value
    return criteria


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, item in value.items():
        yield from _flat(f"{path}/{key}", item)


def _can_end(metric: str, value: float) -> bool:
    low, high = bounds_of(metric)
    return low < value <= high


def _right(metric: str, value: float) -> str:
    low, high = bounds_of(metric)
    if math.isinf(high):
        return f"greater than {low}"
    percent = f"; {value:g} % is {value / 100:g}" if 1 < value <= 100 else ""
    return (f"at most {high}" if math.isinf(low) else f"greater than {low} and at most {high}") + percent
