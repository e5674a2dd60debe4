"""A sweep as plain data: a row for each configuration, and one for each trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from rllib_recattn.experiment.definition.tune_block import RankBy
from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.configurations import Configuration


def configurations_data(ranking: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Give a row for each configuration, the best one first, NaN as None."""
    return [
        {
            "configuration": number,
            "choices": dict(configuration.choices),
            "trials": [trial.name for trial in configuration.trials],
            "seeds": configuration.seeds,
            "seeds_with_a_value": len(configuration.values),
            "mean": _finite(configuration.mean),
            "standard_deviation": _finite(configuration.spread),
            "ended_early": configuration.was_cut,
            "env_steps": _finite(configuration.mean_of(metrics.ENV_STEPS)),
        }
        for number, configuration in enumerate(ranking, start=1)
    ]


def trials_data(ranking: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Give a row for each trial, those of the best configuration first, with all values that it can be ranked by."""
    return [
        {
            "trial": trial.name,
            "configuration": number,
            "status": trial.status,
            "choices": trial.choices_at(configuration.measure),
            "iterations": _finite(trial.iterations),
            "env_steps": _finite(trial.env_steps),
            "training_time_s": _finite(trial.last(metrics.SECONDS)),
            **{
                rank_by: _finite(trial.value(replace(configuration.measure, rank_by=rank_by)))
                for rank_by in get_args(RankBy)
            },
            "episode_return_mean": _finite(trial.last(metrics.RETURN)),
            "success_rate": _finite(trial.last(metrics.SUCCESS)),
        }
        for number, configuration in enumerate(ranking, start=1)
        for trial in configuration.trials
    ]


def write_csv(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Write rows as CSV, with a column for each choice, and return the path."""
    import pandas

    flat = [{**row["choices"], **{key: value for key, value in row.items() if key != "choices"}} for row in rows]
    pandas.DataFrame(flat).to_csv(path, index=False)
    return path


def _finite(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value
