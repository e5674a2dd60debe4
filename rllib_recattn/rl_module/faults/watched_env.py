"""An environment that is watched: what it raises, how long it takes, and whether what it returns are numbers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tree
from gymnasium.vector import AsyncVectorEnv


class NotFinite(ValueError):
    """An environment returned NaN or an infinity.

    Attributes:
        index: Which of the environments that are stepped together; None if that cannot be told.
    """

    def __init__(self, message: str, index: int | None):
        super().__init__(message)
        self.index = index


class TookTooLong(TimeoutError):
    """An environment did not come back in time."""


class WatchedEnv:
    """Steps environments, and checks them.

    Stands in the place of an EnvRunner's vectorised environment, whose attributes it has.

    Args:
        env: Of Gymnasium's or of RLlib's multi-agent kind.
        limit: Seconds that a step or a reset may take; None: any time.
        explain: Makes of an error, and of ``step`` or ``reset``, in which it was raised, the one to raise.
    """

    def __init__(self, env: Any, limit: float | None, explain: Callable[[Exception, str], Exception]):
        self.env = env
        self._limit = limit
        self._explain = explain
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)

    def step(self, actions: Any) -> Any:
        """Step the environments; whatever goes wrong, a NaN or an infinity included, is explained."""
        return self._checked("step", lambda: self.env.step(actions))

    def reset(self, **arguments: Any) -> Any:
        """Reset the environments, likewise."""
        return self._checked("reset", lambda: self.env.reset(**arguments))

    def close(self, **arguments: Any) -> None:
        """Close the environments; after a fault without waiting for them."""
        if self._has_failed and isinstance(self.env.unwrapped, AsyncVectorEnv):
            arguments["terminate"] = True
        with time_limit(self._limit):
            self.env.close(**arguments)

    def _checked(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            with time_limit(self._limit):
                results = call()
            if name == "step":
                check_finite(results[1], "a reward", self.env.num_envs)
            check_finite(results[0], "an observation", self.env.num_envs)
        except Exception as error:
            self._has_failed = True
            raise self._explain(error, name) from error
        return results


def check_finite(values: Any, what: str, num_envs: int) -> None:
    """Raise if any of the numbers of several environments is NaN or infinite.

    Args:
        values: Nested arrays whose first dimension is the environment, or a list with an entry for each.
        what: What they are, with an article.
        num_envs: How many environments there are.

    Raises:
        NotFinite: With the number, and the environment that it is from.
    """
    if isinstance(values, np.ndarray):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            _raise_not_finite(values, what, None, num_envs)
        if values.dtype != object:
            return
        values = list(values)  # as which RLlib gives the rewards of several agents
    for path, leaf in tree.flatten_with_path(values):
        array = np.asarray(leaf)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            _raise_not_finite(array, what, path[0] if isinstance(values, list) else None, num_envs)


def _raise_not_finite(array: np.ndarray, what: str, index: int | None, num_envs: int) -> None:
    place = tuple(np.argwhere(~np.isfinite(array))[0])
    number = array[place]
    if index is None and array.ndim and len(array) == num_envs:
        index, place = int(place[0]), place[1:]
    at = f" at {tuple(int(part) for part in place)}" if place else ""
    raise NotFinite(f"returned {what} that is {number}{at}", index)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Interrupt the body when it takes too long.

    By a signal, so that Python code, sleeping and waiting can be interrupted, but no computation in C. Without effect
    outside of a process's main thread, where Python handles no signals, and where somebody else uses that signal.

    Args:
        seconds: None: no limit.

    Raises:
        TookTooLong: If it does.
    """
    if not seconds or not _can_interrupt():
        yield
        return
    _limits.append(seconds)
    # Again and again: an environment may catch the error, as a bare `except` does, and go on waiting.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _limits.pop()


_limits: list[float] = []


def _can_interrupt() -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGALRM)
    if handler in (signal.SIG_DFL, signal.SIG_IGN):
        # It stays: an alarm that is on its way when the body ends would end the process without a handler.
        signal.signal(signal.SIGALRM, _interrupt)
        return True
    return handler is _interrupt


def _interrupt(number: int, frame: Any) -> None:
    if _limits:
        raise TookTooLong(f"took longer than {_limits[-1]:g} s")
