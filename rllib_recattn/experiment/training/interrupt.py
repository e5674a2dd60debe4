"""Ctrl-C and SIGTERM: the first ends a run after its iteration, with a checkpoint to resume from; the second at once.

Tune's own handler ends a run without saving the trial. Here a scheduler pauses the trial instead, for which Tune
saves a checkpoint, and a callback then ends the experiment. The trial stays unfinished: ``Tuner.restore`` continues it.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from rllib_recattn.experiment.reports.text import report_console
from rllib_recattn.experiment.training.resumed_trials import end_if_through
from rllib_recattn.experiment.training.unreported import never_ends

# One flag per process, as signals are; the scheduler and the callback travel through Tune's pickles and find it here.
_requested = threading.Event()
_received = signal.SIGINT


def request_interrupt(number: int = signal.SIGINT) -> None:
    """Ask the running experiment to end after the current iteration and to save a checkpoint.

    Args:
        number: The signal that asks.
    """
    global _received
    _received = signal.Signals(number)
    _requested.set()


def interrupt_requested() -> bool:
    """Say whether the running experiment was asked to end."""
    return _requested.is_set()


def exit_code_of_interrupt() -> int:
    """Return the exit code of a process that was asked to end: 130 by Ctrl-C, 143 by SIGTERM, as a shell has it."""
    return 128 + _received


@contextmanager
def handle_interrupts() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a request, for as long as the context lasts; the second raises KeyboardInterrupt.

    Outside the main thread, where Python allows no signal handlers, nothing changes.
    """

    def on_signal(number: int, frame: object) -> None:
        if _requested.is_set():
            raise KeyboardInterrupt
        request_interrupt(number)

    global _received
    _requested.clear()
    _received = signal.SIGINT
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Tune sets a handler for SIGUSR1 and leaves it: it is put back as well.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class PauseOnInterrupt(FIFOScheduler):
    """Pauses trials, which saves them, when the experiment was asked to end; starts none from then on.

    When the time of the experiment is over, trials are not paused but at their end, and so is a trial whose stop
    criteria never come.

    By itself it runs trials one after the other. In front of another scheduler, among the bases of a class, it leaves
    all else to that one.
    """

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take up a trial, unless it is through."""
        end_if_through(tune_controller, trial)
        super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide what a trial does after an iteration."""
        if interrupt_requested():
            return TrialScheduler.PAUSE
        if time_is_over() or never_ends(trial, result):
            return TrialScheduler.STOP
        return super().on_trial_result(tune_controller, trial, result)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Choose the trial to start next."""
        return None if interrupt_requested() or time_is_over() else super().choose_trial_to_run(tune_controller)


class EndWhenPaused(Callback):
    """Ends the experiment once nothing runs any more, after it was asked to end or its time is over.

    Of what the user has asked for it says that it is about to.
    """

    def setup(self, **info: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration."""
        self._announced = False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count the time from here on, and not while the first trial is being made."""
        begin_time_budget()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look at the trials after each step of Tune's loop, some ten times a second."""
        if not (interrupt_requested() or time_is_over()):
            return
        running = any(trial.status == Trial.RUNNING for trial in trials)
        if running and interrupt_requested() and not self._announced:
            self._announced = True
            again = "press Ctrl-C again" if _received == signal.SIGINT else f"send {_received.name} again"
            report_console().print(f"Finishing the iteration and saving a checkpoint; {again} to stop at once.")
        if not running:
            # Tune's documented way to end a run, leaving trials unfinished, is a signal.
            signal.raise_signal(signal.SIGUSR1)


# One for the process, as the interrupt is: scheduler and callback travel through Tune's pickles and find it here.
_seconds = math.inf
_end: float | None = None


def set_time_budget(seconds: float | None) -> None:
    """Say how long the experiment that is about to run may take; a resumed one has all of its time again.

    Args:
        seconds: Counted from the beginning of its first trial; None: any time.
    """
    global _seconds, _end
    _seconds, _end = math.inf if seconds is None else seconds, None


def begin_time_budget() -> None:
    """Begin to count, if nobody has."""
    global _end
    if _end is None:
        _end = time.monotonic() + _seconds


def time_is_over() -> bool:
    """Say whether the running experiment has used up its time."""
    return _end is not None and time.monotonic() >= _end
