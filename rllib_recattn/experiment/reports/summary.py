"""What a finished run leaves behind in words and as JSON: its result, why it ended, and where things are."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rllib_recattn.experiment.records import metrics
from rllib_recattn.experiment.records.run_directory import SUMMARY_FILE
from rllib_recattn.experiment.records.stop_criteria import StopCriterion
from rllib_recattn.experiment.reports.text import command_text, count_text, duration_text, number_text, path_text


@dataclass(frozen=True)
class RunSummary:
    """A finished run.

    Attributes:
        name: The experiment's name.
        result: The last iteration's metrics, nested.
        criteria: The stop criteria.
        run_dir: The run directory.
        checkpoint: The newest checkpoint, if one was saved.
        learning_curve: The PNG, if there was anything to draw.
    """

    name: str
    result: Mapping[str, Any]
    criteria: tuple[StopCriterion, ...]
    run_dir: Path
    checkpoint: Path | None
    learning_curve: Path | None

    @property
    def solved(self) -> bool | None:
        """Whether the run ended by reaching a goal; None if its stop criteria name none."""
        goals = [criterion for criterion in self.criteria if not criterion.is_budget]
        return any(goal.is_met for goal in goals) if goals else None

    @property
    def stop_reason(self) -> str:
        """Why the run ended, e.g. ``solved: env_runners/success_rate 0.97 ≥ 0.95``."""
        met = [criterion for criterion in self.criteria if criterion.is_met]
        goals_met = [criterion for criterion in met if not criterion.is_budget]
        if goals_met:
            return "solved: " + ", ".join(map(str, goals_met))
        if self.criteria and all(math.isnan(criterion.value) for criterion in self.criteria):
            return "not solved: " + ", ".join(map(str, self.criteria))
        spent = ", ".join(map(str, met)) or "the algorithm itself ended"
        return f"{'finished' if self.solved is None else 'budget exhausted, not solved'}: {spent}"

    def text(self) -> str:
        """Write the summary for people, a few lines long, paths relative to the working directory."""
        open_goals = [goal for goal in self.criteria if not goal.is_budget and not goal.is_met]
        rows = [
            *(("goal missed", str(goal)) for goal in open_goals if not self.solved),
            ("return", number_text(metrics.metric(self.result, metrics.RETURN))),
            ("env steps", count_text(metrics.metric(self.result, metrics.ENV_STEPS))),
            ("training time", duration_text(metrics.metric(self.result, metrics.SECONDS))),
        ]
        if metrics.has_metric(self.result, metrics.SUCCESS):
            rows.insert(-2, ("success rate", number_text(metrics.metric(self.result, metrics.SUCCESS))))
        if self.checkpoint:
            rows.append(("checkpoint", path_text(self.checkpoint)))
        if self.learning_curve:
            rows.append(("learning curve", path_text(self.learning_curve)))
        headline = self.stop_reason[0].upper() + self.stop_reason[1:]
        lines = [headline, *(f"  {label:<15} {value}" for label, value in rows)]
        if self.checkpoint:
            command = shlex.join([command_text(), "evaluate", path_text(self.checkpoint), "--episodes", "100"])
            lines += ["Next, see how it does without exploration:", f"  {command}"]
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        """Give the summary as plain data, NaN as None, paths relative to the run directory."""
        return {
            "name": self.name,
            "solved": self.solved,
            "stop_reason": self.stop_reason,
            "stop": {
                criterion.key: {"value": _finite(criterion.value), "threshold": criterion.threshold}
                for criterion in self.criteria
            },
            "iterations": _finite(metrics.metric(self.result, metrics.ITERATION)),
            "env_steps": _finite(metrics.metric(self.result, metrics.ENV_STEPS)),
            "training_time_s": _finite(metrics.metric(self.result, metrics.SECONDS)),
            "episode_return_mean": _finite(metrics.metric(self.result, metrics.RETURN)),
            "success_rate": _finite(metrics.metric(self.result, metrics.SUCCESS)),
            "checkpoint": _below(self.checkpoint, self.run_dir),
            "learning_curve": _below(self.learning_curve, self.run_dir),
        }

    def write(self) -> None:
        """Write ``summary.txt`` and ``summary.json`` into the run directory: the mark of a finished run."""
        (self.run_dir / "summary.txt").write_text(self.text() + "\n", encoding="utf-8")
        text = json.dumps(self.data(), indent=2, ensure_ascii=False) + "\n"
        (self.run_dir / SUMMARY_FILE).write_text(text, encoding="utf-8")


def _finite(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _below(path: Path | None, directory: Path) -> str | None:
    return None if path is None else str(path.relative_to(directory))
