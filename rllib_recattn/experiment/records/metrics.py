"""The results of training: the keys that reports read, what they are called, and the history of a trial or run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rllib_recattn.errors import SettingsError, suggest_among_many

if TYPE_CHECKING:
    import pandas

ITERATION = "training_iteration"
ENV_STEPS = "num_env_steps_sampled_lifetime"
ENV_STEPS_THIS_ITERATION = "env_runners/num_env_steps_sampled"
OLD_STACK_ENV_STEPS_THIS_ITERATION = "num_env_steps_sampled_this_iter"
SECONDS = "time_total_s"
SECONDS_THIS_ITERATION = "time_this_iter_s"
RETURN = "env_runners/episode_return_mean"
SUCCESS = "env_runners/success_rate"

RESULT_FILE = "result.json"
"""Tune writes a line of JSON into it for each iteration of a trial."""

_METRIC_LABELS = {
    RETURN: "mean episode return",
    SUCCESS: "success rate",
    ENV_STEPS: "environment steps",
    ITERATION: "iteration",
    SECONDS: "seconds of training",
}


def metric(result: Mapping[str, Any], key: str) -> float:
    """Look up a number in a nested result.

    Args:
        result: What an algorithm's ``train()`` returns.
        key: The path to the number, its parts joined by ``/``.

    Returns:
        The number; NaN where the result has none.
    """
    value: Any = result
    for part in key.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def has_metric(result: Mapping[str, Any], key: str) -> bool:
    """Say whether the result holds a number (no NaN) under the key."""
    return not math.isnan(metric(result, key))


def steps_per_second(result: Mapping[str, Any]) -> float:
    """Return how many environment steps a second an iteration of either API stack sampled; NaN if it does not say."""
    new, old = ENV_STEPS_THIS_ITERATION, OLD_STACK_ENV_STEPS_THIS_ITERATION
    return metric(result, new if has_metric(result, new) else old) / metric(result, SECONDS_THIS_ITERATION)


def metric_label(metric: str) -> str:
    """Write a metric's name for people."""
    if metric.startswith("evaluation/"):
        return f"{metric_label(metric.removeprefix('evaluation/'))} in evaluation"
    return _METRIC_LABELS.get(metric, metric.removeprefix("env_runners/").removeprefix("learners/").replace("_", " "))


def require_metric(metric: str, histories: Sequence[pandas.DataFrame], where: str) -> None:
    """Refuse a metric that no trial reports.

    Args:
        metric: Its path.
        histories: Those of the trials.
        where: How the user named it, for the message.

    Raises:
        SettingsError: With the metrics that may have been meant.
    """
    known = {name for history in histories for name in history if history[name].dtype.kind in "iuf"}
    if metric not in known:
        otherwise = f"common ones are {RETURN} and {SUCCESS}"
        raise SettingsError(f"{where} {metric!r}: no trial reports it: {suggest_among_many(metric, known, otherwise)}")


def read_history(directory: Path) -> pandas.DataFrame:
    """Read the metrics of all iterations of a trial.

    Tune's ``result.json`` is read and not its ``progress.csv``, whose columns are those of the first iteration:
    what is first reported later, as a return is when no episode ends in the first iteration, is missing there.

    Args:
        directory: The directory of the trial, or of a run that has no other.

    Returns:
        One row per iteration, sorted, with nested keys joined by ``/``. Iterations that a resumed run repeated
        count once, as they came out last. Empty if there is no result yet.
    """
    import pandas

    history = pandas.json_normalize(read_results(directory), sep="/")
    if history.empty:
        return history
    return history.drop_duplicates(ITERATION, keep="last").sort_values(ITERATION).reset_index(drop=True)


def last_result(directory: Path) -> dict[str, Any]:
    """Read the metrics of a trial's last iteration, nested; empty if there is none. See `read_history`."""
    results = read_results(directory)
    return results[-1] if results else {}


def read_results(directory: Path) -> list[dict[str, Any]]:
    """Read the results of a trial, nested, in the order in which they were reported."""
    files = [directory / RESULT_FILE] if (directory / RESULT_FILE).is_file() else directory.glob(f"*/{RESULT_FILE}")
    return [result for path in sorted(files) for result in _json_lines(path)]


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            result = json.loads(line)
        except json.JSONDecodeError:  # a process that was killed may leave half a line
            continue
        if isinstance(result, dict) and ITERATION in result:
            yield result
