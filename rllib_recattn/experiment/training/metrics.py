"""The results of a training run: the keys that reports read, and the history in the run directory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def read_history(run_dir: Path) -> pandas.DataFrame:
    """Read the metrics of all iterations of a run.

    Tune's ``result.json`` is read and not its ``progress.csv``, whose columns are those of the first iteration:
    what is first reported later, as a return is when no episode ends in the first iteration, is missing there.

    Args:
        run_dir: The run directory, with one trial in it.

    Returns:
        One row per iteration, sorted, with nested keys joined by ``/``. Iterations that a resumed run repeated
        count once, as they came out last. Empty if there is no result yet.
    """
    import pandas

    history = pandas.json_normalize(_results(run_dir), sep="/")
    if history.empty:
        return history
    return history.drop_duplicates(ITERATION, keep="last").sort_values(ITERATION).reset_index(drop=True)


def last_result(run_dir: Path) -> dict[str, Any]:
    """Read the metrics of a run's last iteration, nested; empty if there is none."""
    results = _results(run_dir)
    return results[-1] if results else {}


def _results(run_dir: Path) -> list[dict[str, Any]]:
    return [result for path in sorted(run_dir.glob("*/result.json")) for result in _json_lines(path)]


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # a process that was killed may leave half a line
            continue
