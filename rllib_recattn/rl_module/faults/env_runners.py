"""EnvRunners that go on after a fault of their environment, and say what it was."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.rl_module.faults.watched_env import NotFinite, TookTooLong, WatchedEnv
from rllib_recattn.rl_module.rllib_internals.env_runners import ongoing_episodes

NUM_FAULTS = "num_env_faults"
"""The metric ``env_runners/num_env_faults``: how often environments have failed so far; absent while none has."""

_ADVICE = {
    NotFinite: "let the environment return finite numbers: bound what it computes, or end the episode there",
    TookTooLong: "mend the environment, or raise config.sample_timeout_s if a step or a reset may take that long",
    Exception: "mend the environment, or have it end the episode (truncated) where it fails now",
}


class EnvironmentFault(RuntimeError):
    """The environment failed. The message names it, the step, and what to do."""


@dataclass(frozen=True)
class FaultReport:
    """What an EnvRunner says of its faults.

    Attributes:
        survived: Sentences on the faults since the last report.
        fatal: Why it gave up; None if it did not.
    """

    survived: tuple[str, ...]
    fatal: str | None


class FaultMendingMixin(EnvRunner):
    """For EnvRunners: makes the environment again after a fault and starts new episodes, until it has failed too often.

    What was sampled of the episodes that a fault cuts, and not yet handed out, is dropped. What an episode carries of
    recurrent states goes with it: the new ones start from the initial state.
    """

    env: Any

    def __init__(self, **kwargs: Any):
        self._fatal: str | None = None
        self._survived: list[str] = []
        self._failures_in_a_row = 0
        super().__init__(**kwargs)

    def report_faults(self) -> FaultReport:
        """Return what has happened since the last report; fatal is what stays."""
        survived, self._survived = tuple(self._survived), []
        return FaultReport(survived, self._fatal)

    def make_env(self) -> None:
        """Make the environment, or make it again."""
        super().make_env()
        self.env = WatchedEnv(self.env, self.config.sample_timeout_s, self._explained)

    def sample(self, **kwargs: Any) -> Any:
        """Sample.

        Raises:
            EnvironmentFault: If the environment has failed too often in a row.
        """
        self._raise_if_fatal()
        samples = super().sample(**kwargs)
        self._failures_in_a_row = 0
        return samples

    def apply(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function with this EnvRunner.

        RLlib's own ``apply`` ends the process when the function raises an error, of which nobody gets to know. Here
        the error goes to the caller, and the EnvRunner begins again in the same process.
        """
        try:
            return func(self, *args, **kwargs)
        except Exception as error:
            if not isinstance(error, EnvironmentFault):
                self._count(f"EnvRunner {self.worker_index} failed: {_described(error)}", "see there")
            if self._fatal is None:
                self.make_env()
            raise

    def _try_env_step(self, actions: Any) -> Any:
        with self._own_errors():
            return super()._try_env_step(actions)

    def _try_env_reset(self, **kwargs: Any) -> Any:
        self._raise_if_fatal()  # RLlib calls this again and again until it succeeds
        with self._own_errors():
            return super()._try_env_reset(**kwargs)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """Raise the error that explains the fault where RLlib puts one without a message in its place."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error.__cause__, EnvironmentFault):
                raise error.__cause__ from error.__cause__.__cause__
            raise

    def _raise_if_fatal(self) -> None:
        if self._fatal is not None:
            raise EnvironmentFault(self._fatal)

    def _explained(self, error: Exception, call: str) -> EnvironmentFault:
        """Note a fault of the environment, and return the error that says what it was."""
        index = error.index if isinstance(error, NotFinite) else None
        env = self.config.env if isinstance(self.config.env, str) else getattr(self.config.env, "__name__", "")
        where = f"{self._place(index)}, EnvRunner {self.worker_index or 0}"
        what = str(error) if isinstance(error, NotFinite | TookTooLong) else f"raised {_described(error)}"
        kind = type(error) if type(error) in _ADVICE else Exception
        self.metrics.log_value(NUM_FAULTS, 1, reduce="lifetime_sum")
        return EnvironmentFault(self._count(f"The environment {env} {what} in {_CALLS[call]} ({where})", _ADVICE[kind]))

    def _place(self, index: int | None) -> str:
        """Say in which steps of their episodes the environments are, or the one that is known to have failed."""
        episodes = ongoing_episodes(self)
        steps = [0 if episode is None else _length(episode) + 1 for episode in episodes]
        if index is None and len(steps) > 1:
            return f"one of {len(steps)} environments, in the steps {_listed(steps)} of their episodes"
        of_several = f"environment {index} of {len(steps)}, " if len(steps) > 1 else ""
        return f"{of_several}step {steps[index or 0]} of the episode"

    def _count(self, fault: str, advice: str) -> str:
        """Note a fault; too many in a row are fatal. Returns what there is to say."""
        self._failures_in_a_row += 1
        tolerance = self.config.num_consecutive_env_runner_failures_tolerance
        if self._failures_in_a_row <= tolerance:
            self._survived = [*self._survived, fault][-_KEPT:]
            return fault
        again = f" Failure {self._failures_in_a_row} in a row; " if tolerance else " "
        self._fatal = (
            f"{fault}.{again}num_consecutive_env_runner_failures_tolerance = {tolerance}. What to do: {advice}."
        )
        return self._fatal


class MendingSingleAgentEnvRunner(FaultMendingMixin, SingleAgentEnvRunner):
    """RLlib's EnvRunner of single agents, which mends and reports faults."""


class MendingMultiAgentEnvRunner(FaultMendingMixin, MultiAgentEnvRunner):
    """RLlib's EnvRunner of several agents, which mends and reports faults."""


_KEPT = 10
_CALLS = {"step": "step()", "reset": "reset()"}


def _described(error: BaseException) -> str:
    """Say what an error is and where it was raised, in one line."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text}, at {frames[-1].filename}:{frames[-1].lineno}," if frames else text


def _length(episode: Any) -> int:
    """Return how many steps an episode has had, those of chunks that were handed out included."""
    return int(episode.t if isinstance(episode, SingleAgentEpisode) else episode.env_t)


def _listed(steps: list[int]) -> str:
    shown = ", ".join(str(step) for step in steps[:_KEPT])
    return shown + (", …" if len(steps) > _KEPT else "")


def report_of(env_runner: EnvRunner) -> FaultReport:
    """Return the report of an EnvRunner of any class."""
    return env_runner.report_faults() if isinstance(env_runner, FaultMendingMixin) else FaultReport((), None)
