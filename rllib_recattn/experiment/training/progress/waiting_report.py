"""Says that training waits for CPUs or GPUs, as when others use the cluster or a node was lost. Tune says nothing."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.util import placement_group_table

from rllib_recattn.experiment.cluster.placement import amounts_text
from rllib_recattn.experiment.reports.text import report_console

_PATIENCE_S = 15.0
_SECONDS_BETWEEN_LOOKS = 5.0
_WAITING = ("PENDING", "RESCHEDULING")


class WaitingReport(Callback):
    """Prints a line when nothing runs, and a trial has waited for resources for a while; once until one has run."""

    _has_told = False
    _look_at = 0.0

    def setup(self, **info: Any) -> None:
        """Prepare for a run; called by Tune before the first iteration, of a resumed run as well."""
        self._begin()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look after each step of Tune's loop, some ten times a second."""
        now = time.monotonic()
        pending = [trial for trial in trials if trial.status == Trial.PENDING]
        if not pending or any(trial.status == Trial.RUNNING for trial in trials):
            self._begin()
        elif not self._has_told and now >= self._look_at:
            self._look_at = now + _SECONDS_BETWEEN_LOOKS
            bundles = pending[0].placement_group_factory.bundles
            if _is_waited_for(bundles):
                self._has_told = True
                report_console().print(_line(bundles), style="yellow")

    def _begin(self) -> None:
        self._has_told = False
        self._look_at = time.monotonic() + _PATIENCE_S


def _is_waited_for(bundles: list[dict[str, float]]) -> bool:
    groups = placement_group_table().values()  # those of others that use the cluster as well
    return any(group["state"] in _WAITING and list(group["bundles"].values()) == bundles for group in groups)


def _line(bundles: list[dict[str, float]]) -> str:
    needed: Counter[str] = Counter()
    for bundle in bundles:
        needed.update(bundle)
    there, free = ray.cluster_resources(), ray.available_resources()
    has, idle = ({name: amounts.get(name, 0) for name in needed} for amounts in (there, free))
    return (
        f"Waiting for {amounts_text(needed)}: Ray has {amounts_text(has)}, and {amounts_text(idle)} free. Training "
        "goes on as soon as there are enough; Ctrl-C ends it."
    )
