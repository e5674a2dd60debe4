"""What a run leaves: a file of its own, written when it has ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from rllib_recattn.comparing.outcomes import Outcome
from rllib_recattn.errors import Settings, SettingsError

Ending = Literal["solved", "budget", "stopped early", "failed"]
Measure = Literal["success rate", "return"]


class Point(Settings):
    """An iteration of a run.

    Attributes:
        steps: Environment steps until its end.
        episodes: Episodes that had ended by then.
        seconds: Of training until then.
        mean_return: The mean return that training reports; None if no episode has ended yet.
        success_rate: Likewise the share of successes; None also if the environment does not say.
        goals: Metric → its value, of the experiment's goals that were reported.
    """

    steps: int
    episodes: int
    seconds: float
    mean_return: float | None = None
    success_rate: float | None = None
    goals: dict[str, float] = Field(default_factory=dict)

    def value(self, measure: Measure) -> float | None:
        """Return what training reported of a measure; None: nothing yet."""
        return self.success_rate if measure == "success rate" else self.mean_return


class Evaluation(Settings):
    """How a trained policy does in greedy episodes that it has not seen.

    Attributes:
        episodes: How many.
        mean_return: Their mean return.
        success_rate: The share of successes; None if the environment does not say.
    """

    episodes: int
    mean_return: float
    success_rate: float | None = None


class RunResult(Settings):
    """A run that has ended.

    Attributes:
        version: Of this form.
        label: The model's.
        seed: The seed.
        learning_rate: The learning rate, or its schedule.
        ended: Why it ended.
        solved_steps: Environment steps until it had solved the task, of the first window that the next one confirmed.
        solved_seconds: Likewise the seconds of training.
        evaluation: Of its last policy; None of a run of the search, and of one that failed.
        error: What went wrong with one that failed.
        machine: Where it ran, and the versions of packages.
        curve: A point for each iteration.
    """

    version: Literal[1] = 1
    label: str
    seed: int
    learning_rate: float | list[list[float]]
    ended: Ending
    solved_steps: int | None = None
    solved_seconds: float | None = None
    evaluation: Evaluation | None = None
    error: str | None = None
    machine: dict[str, Any] = Field(default_factory=dict)
    curve: list[Point] = Field(default_factory=list)

    @property
    def steps(self) -> int:
        """Environment steps that it took."""
        return self.curve[-1].steps if self.curve else 0

    @property
    def seconds(self) -> float:
        """Seconds that it trained."""
        return self.curve[-1].seconds if self.curve else 0.0

    @property
    def score(self) -> float | None:
        """The share of greedy episodes that succeed, else their mean return; None if it was not evaluated."""
        found = self.evaluation
        if found is None:
            return None
        return found.mean_return if found.success_rate is None else found.success_rate

    @property
    def outcome(self) -> Outcome:
        """What comparisons are made of."""
        score = self.score
        assert score is not None
        return Outcome(self.solved_steps, self.steps, score, self.ended == "stopped early")


def read_run(path: Path) -> RunResult | None:
    """Read what a run left; None if there is no such file.

    Raises:
        SettingsError: If the file holds something else.
    """
    try:
        return RunResult.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise SettingsError(
            f"{str(path)!r}: is no result of this version of `rllib compare` ({reason}); remove it, and its run is "
            "trained again"
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file: a reader, or a process that is killed, finds the old one or the new one, both whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
