"""What the algorithm does about EnvRunners that are gone, hang or give up."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import ray
from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.rl_module.faults.env_runners import EnvironmentFault, FaultReport, report_of
from rllib_recattn.rl_module.faults.pings import Pings
from rllib_recattn.rl_module.rllib_internals.env_runners import (
    env_runner_actor,
    env_runner_ids,
    wrap_cleanup,
    wrap_restore_env_runners,
)

FAULTS = "faults"
"""Key in an iteration's result: sentences on what was survived in it; absent if there was nothing."""

_ANSWER_TIMEOUT_S = 5.0


class NoEnvRunnersError(RuntimeError):
    """Training has nobody to sample for it. The message says since when, and what to do."""


class FaultCallback(RLlibCallback):
    """Watches over the EnvRunners of an algorithm; see :func:`~rllib_recattn.rl_module.faults.survive_faults`."""

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Take part in how the algorithm restores its EnvRunners, before each of its training steps."""
        if algorithm.env_runner_group is not None:
            self._watch = EnvRunnerWatch(algorithm)
            wrap_restore_env_runners(algorithm, lambda _: self._watch.restore)
            wrap_cleanup(algorithm, lambda _: self._watch.clean_up)

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **kwargs: Any) -> None:
        """Say what was survived, and end training that gets nowhere."""
        if algorithm.env_runner_group is not None:
            self._watch.check_result(result)


class EnvRunnerWatch:
    """Watches over the EnvRunners that an algorithm trains with.

    Args:
        algorithm: The algorithm.
    """

    def __init__(self, algorithm: Any):
        self._group = algorithm.env_runner_group
        self._config = algorithm.config
        self._restore = algorithm.restore_env_runners
        self._clean_up = algorithm.cleanup
        self._pings = Pings(self._group, self._config)
        self._news: list[str] = []
        self._env_steps = 0.0
        self._sampled_at = time.monotonic()

    def restore(self, env_runner_group: Any) -> list[int]:
        """Do what ``Algorithm.restore_env_runners`` does, and more.

        Args:
            env_runner_group: The algorithm's EnvRunners for training or for evaluation.

        Returns:
            The indices of those that came back.

        Raises:
            EnvironmentFault: If one has given up, or hangs again and again.
            NoEnvRunnersError: If none comes back.
        """
        if env_runner_group is not self._group:
            return list(self._restore(env_runner_group))
        self._hear(self._pings.take_answers())
        self._news += self._pings.replace_hung()
        restored = [*self._restore(self._group), *self._wait_for_any()]
        for index, report in self._ask(restored):
            self._hear([report])
            if not report.survived:
                self._news.append(f"EnvRunner {index} was lost, and has been started again.")
        return restored

    def check_result(self, result: dict[str, Any]) -> None:
        """Look at the result of an iteration, and add the news to it.

        Raises:
            EnvironmentFault: If an EnvRunner has given up.
            NoEnvRunnersError: If nothing was sampled for too long.
        """
        env_steps, now = result.get("num_env_steps_sampled_lifetime", 0), time.monotonic()
        if self._group.local_env_runner is not None:
            self._hear([report_of(self._group.local_env_runner)])
        if env_steps == self._env_steps:
            self._hear(report for _, report in self._ask(env_runner_ids(self._group)))
            self._check_idle_time(now - self._sampled_at)
        else:
            self._env_steps, self._sampled_at = env_steps, now
        self._pings.send()
        if self._news:
            result[FAULTS], self._news = self._news, []

    def clean_up(self) -> None:
        """End the algorithm's actors; RLlib waits forever for those that are not there, so they are given up first."""
        gone = set(env_runner_ids(self._group)) - set(self._group.healthy_env_runner_ids())
        for index in gone.union(self._pings.unanswered()):
            ray.kill(env_runner_actor(self._group, index))
        self._clean_up()

    def _wait_for_any(self) -> list[int]:
        """Wait until there is an EnvRunner: without any, RLlib reports iterations without results, or fails."""
        started, restored = time.monotonic(), []
        while self._group.num_remote_env_runners() and not self._group.num_healthy_remote_env_runners():
            waited = time.monotonic() - started
            if _is_over(self._config.env_runner_restore_timeout_s, waited):
                raise NoEnvRunnersError(self._nobody_left(waited))
            time.sleep(0.5)  # those that are dead for good answer at once
            restored += self._restore(self._group)
        if restored:
            self._sampled_at = time.monotonic()
            self._news.append(f"No EnvRunner was there for {self._sampled_at - started:.0f} s; training waited.")
        return restored

    def _nobody_left(self, waited: float) -> str:
        nodes = sum(node["Alive"] for node in ray.nodes())
        return (
            f"None of the {self._group.num_remote_env_runners()} EnvRunners has come back for {waited:.0f} s "
            f"(env_runner_restore_timeout_s = {self._config.env_runner_restore_timeout_s:g}). The cluster has {nodes} "
            f"node{'s' * (nodes != 1)} with {ray.available_resources().get('CPU', 0):g} free CPUs; an EnvRunner needs "
            f"{self._config.num_cpus_per_env_runner:g}. What to do: bring the lost nodes back, or lower "
            "config.num_env_runners, and resume from the newest checkpoint."
        )

    def _check_idle_time(self, seconds: float) -> None:
        limit = self._config.env_runner_restore_timeout_s
        if not _is_over(limit, seconds):
            return
        raise NoEnvRunnersError(
            f"No step was sampled for {seconds:.0f} s (env_runner_restore_timeout_s = {limit:g}), though "
            f"{self._group.num_healthy_remote_env_runners()} EnvRunners are there: a sample takes longer than "
            f"sample_timeout_s = {self._config.sample_timeout_s:g}. What to do: raise config.sample_timeout_s, or "
            "lower config.rollout_fragment_length or config.num_envs_per_env_runner."
        )

    def _ask(self, indices: list[int]) -> list[tuple[int, FaultReport]]:
        """Ask EnvRunners for their reports; those that do not answer soon have none."""
        if not indices:
            return []
        answers: list[tuple[int, FaultReport]] = self._group.foreach_env_runner(
            lambda env_runner: (env_runner.worker_index, report_of(env_runner)),
            local_env_runner=False,
            healthy_only=False,
            remote_worker_ids=indices,
            timeout_seconds=_ANSWER_TIMEOUT_S,
        )
        return answers

    def _hear(self, reports: Iterable[FaultReport]) -> None:
        for report in reports:
            if report.fatal is not None:
                raise EnvironmentFault(report.fatal)
            self._news += report.survived


def _is_over(limit: float | None, seconds: float) -> bool:
    return limit is not None and seconds > limit
