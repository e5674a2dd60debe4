"""Ask EnvRunners for their reports without waiting, and have Ray replace those that do not answer any more."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.exceptions import RayError

from rllib_recattn.rl_module.faults.env_runners import EnvironmentFault, FaultReport, report_of
from rllib_recattn.rl_module.rllib_internals.env_runners import count_as_lost, env_runner_actor


class Pings:
    """Questions to EnvRunners that stand in line behind the samples that were asked for.

    RLlib waits for a sample for ``sample_timeout_s`` and goes on without it, but leaves the EnvRunner that did not
    deliver as it is.

    Args:
        group: The EnvRunners.
        config: The algorithm's config.
    """

    def __init__(self, group: Any, config: Any):
        self._group = group
        self._config = config
        self._sent: dict[int, tuple[Any, float]] = {}
        self._replaced: dict[int, int] = {}

    def send(self) -> None:
        """Ping the EnvRunners that have answered."""
        for index in self._group.healthy_env_runner_ids():
            if index not in self._sent:
                self._sent[index] = (env_runner_actor(self._group, index).apply.remote(report_of), time.monotonic())

    def take_answers(self) -> list[FaultReport]:
        """Return the reports that have come in."""
        if not self._sent:
            return []
        index_of = {ping: index for index, (ping, _) in self._sent.items()}
        ready, _ = ray.wait(list(index_of), num_returns=len(index_of), timeout=0)
        reports = []
        for ping in ready:
            del self._sent[index_of[ping]]
            try:
                reports.append(ray.get(ping))
            except RayError:  # it is gone, and RLlib will notice
                continue
            self._replaced.pop(index_of[ping], None)
        return reports

    def replace_hung(self) -> list[str]:
        """Replace the EnvRunners that have owed an answer for too long.

        Returns:
            A sentence for each.

        Raises:
            EnvironmentFault: If one of them is replaced too often in a row.
        """
        limit = self._limit()
        if limit is None:
            return []
        overdue = self._overdue(limit)
        for index in overdue:
            del self._sent[index]
            ray.kill(env_runner_actor(self._group, index), no_restart=False)
            count_as_lost(self._group, index)
        return [self._count(index, limit) for index in overdue]

    def unanswered(self) -> list[int]:
        """Return the EnvRunners that have owed an answer for longer than a sample may take."""
        self.take_answers()
        return self._overdue(self._config.sample_timeout_s) if self._config.sample_timeout_s else []

    def _overdue(self, limit: float) -> list[int]:
        now = time.monotonic()
        return [index for index, (_, sent_at) in self._sent.items() if now - sent_at > limit]

    def _limit(self) -> float | None:
        sample_timeout_s = self._config.sample_timeout_s
        if not sample_timeout_s:
            return None
        in_line = self._config.max_requests_in_flight_per_env_runner
        return float((in_line + 1) * sample_timeout_s + self._config.env_runner_health_probe_timeout_s)

    def _count(self, index: int, limit: float) -> str:
        self._replaced[index] = self._replaced.get(index, 0) + 1
        tolerance = self._config.num_consecutive_env_runner_failures_tolerance
        fault = f"EnvRunner {index} did not answer for {limit:.0f} s and could not be interrupted: it was replaced"
        if self._replaced[index] <= tolerance:
            return f"{fault}."
        raise EnvironmentFault(
            f"{fault}, for the {self._replaced[index]}. time in a row (num_consecutive_env_runner_failures_tolerance = "
            f"{tolerance}). What to do: look for code in the environment {self._config.env} that waits or computes "
            f"without end, outside of Python; or raise config.sample_timeout_s = {self._config.sample_timeout_s:g} if "
            "a sample may take that long."
        )
