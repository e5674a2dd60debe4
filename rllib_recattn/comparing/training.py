"""A run in a process of Ray's: it trains iteration by iteration, as it is told, and is evaluated at its end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rllib_recattn.comparing.result import Evaluation, Point
from rllib_recattn.experiment.definition.spec import Experiment
from rllib_recattn.experiment.records import metrics

EVALUATION_SEED = 1_000_000
"""The seed of the first greedy episode that scores a policy; all policies play the same ones."""

_EPISODES = "env_runners/num_episodes_lifetime"
_RETURN, _SUCCESS = metrics.RETURN, metrics.SUCCESS


class Trainer:
    """Trains one agent.

    Args:
        experiment: What to train, as JSON.
        goals: The metrics that points are to tell of.
    """

    def __init__(self, experiment: str, goals: list[str]):
        self._experiment = experiment
        self._goals = goals
        self._algorithm: Any = None

    def iterate(self) -> Point:
        """Train for an iteration, the first time from the beginning."""
        if self._algorithm is None:
            self._algorithm = self._build()
        result = self._algorithm.train()
        return point_of(result, self._goals, self._algorithm.config.evaluation_interval)

    def evaluate(self, episodes: int) -> Evaluation:
        """Let the policy, as it is now, play greedily."""
        from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint

        with tempfile.TemporaryDirectory() as directory:
            checkpoint = Path(directory, "checkpoint")
            self._algorithm.save_to_path(str(checkpoint))
            result = evaluate_checkpoint(checkpoint, episodes=episodes, seed=EVALUATION_SEED)
        rate = result.success_rate
        return Evaluation(
            episodes=episodes,
            mean_return=result.episode_return.mean,
            success_rate=None if rate is None else rate.mean,
        )

    def machine(self) -> dict[str, Any]:
        """Tell where this runs."""
        from rllib_recattn.probing.machine import this_machine

        return this_machine()

    def stop(self) -> None:
        """End the algorithm and its processes."""
        if self._algorithm is not None:
            self._algorithm.stop()
            self._algorithm = None

    def _build(self) -> Any:
        import torch

        from rllib_recattn.experiment.algorithm.build import build_config

        torch.set_num_threads(1)
        experiment = Experiment.model_validate_json(self._experiment)
        return build_config(experiment).debugging(log_level="ERROR").build_algo()


def point_of(result: dict[str, Any], goals: list[str], evaluation_interval: int | None) -> Point:
    """Return what an iteration came to.

    Args:
        result: What the algorithm reports.
        goals: The metrics of the goals.
        evaluation_interval: Iterations from one evaluation to the next, between which RLlib repeats the last one.
    """
    has_evaluated = bool(evaluation_interval) and int(result[metrics.ITERATION]) % int(evaluation_interval or 1) == 0
    reported = [goal for goal in goals if metrics.has_metric(result, goal)]
    fresh = [goal for goal in reported if has_evaluated or not goal.startswith("evaluation/")]
    episodes = metrics.metric(result, _EPISODES)
    return Point(
        steps=int(metrics.metric(result, metrics.ENV_STEPS)),
        episodes=int(episodes) if episodes == episodes else 0,
        seconds=round(metrics.metric(result, metrics.SECONDS), 2),
        mean_return=_rounded(result, _RETURN),
        success_rate=_rounded(result, _SUCCESS),
        goals={goal: metrics.metric(result, goal) for goal in fresh},
    )


def _rounded(result: dict[str, Any], key: str) -> float | None:
    return round(metrics.metric(result, key), 4) if metrics.has_metric(result, key) else None
