"""The processes in which runs train: actors of Ray's, on this machine or on a cluster, as many as there is room for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.util import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from rllib_recattn.comparing.plan import PlannedRun
from rllib_recattn.comparing.training import Trainer
from rllib_recattn.experiment.definition.spec import Experiment

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig


class Pool(ABC):
    """Where runs train."""

    @abstractmethod
    def begin(self, run: PlannedRun, experiment: Experiment, goals: list[str]) -> None:
        """Give a run a process of its own."""

    @abstractmethod
    def ask(self, run: PlannedRun, what: str, *arguments: Any) -> None:
        """Ask a run for something: ``iterate``, ``evaluate``, ``machine``."""

    @abstractmethod
    def answers(self) -> list[tuple[PlannedRun, str, Any]]:
        """Wait for at least one answer; a failure is an answer of the kind ``failed``."""

    @abstractmethod
    def end(self, run: PlannedRun) -> None:
        """End a run's process."""


@dataclass
class RayPool(Pool):
    """Actors of Ray's; as in a sweep of Tune's each has a placement group with what its algorithm asks for.

    Attributes:
        resources: The config that says what a run needs.
    """

    resources: AlgorithmConfig
    _actors: dict[PlannedRun, Any] = field(default_factory=dict)
    _groups: dict[PlannedRun, Any] = field(default_factory=dict)
    _asked: dict[Any, tuple[PlannedRun, str]] = field(default_factory=dict)

    @property
    def room(self) -> int:
        """How many runs there is room for at the same time, at least 1."""
        needed = sum(bundle.get("CPU", 0) for bundle in self._request().bundles)
        return max(1, int(ray.cluster_resources().get("CPU", 1) / max(needed, 1)))

    def begin(self, run: PlannedRun, experiment: Experiment, goals: list[str]) -> None:
        """Start an actor."""
        request = self._request()
        group = placement_group(request.bundles, strategy=request.strategy)
        first = dict(request.bundles[0])
        actor = ray.remote(Trainer).options(
            num_cpus=first.pop("CPU", 0),
            num_gpus=first.pop("GPU", 0),
            resources=first or None,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, 0, placement_group_capture_child_tasks=True),
        )
        self._groups[run] = group
        self._actors[run] = actor.remote(experiment.model_dump_json(), goals)

    def ask(self, run: PlannedRun, what: str, *arguments: Any) -> None:
        """Call a method of a run's actor."""
        self._asked[getattr(self._actors[run], what).remote(*arguments)] = (run, what)

    def answers(self) -> list[tuple[PlannedRun, str, Any]]:
        """Wait for an actor, a second at most."""
        ready, _ = ray.wait(list(self._asked), timeout=1.0)
        return [self._answer(reference) for reference in ready]

    def end(self, run: PlannedRun) -> None:
        """End a run's actor, and what it has started."""
        actor, group = self._actors.pop(run), self._groups.pop(run)
        self._asked = {reference: asked for reference, asked in self._asked.items() if asked[0] != run}
        _quietly(lambda: ray.get(actor.stop.remote(), timeout=30))
        _quietly(lambda: ray.kill(actor))
        _quietly(lambda: remove_placement_group(group))

    def _answer(self, reference: Any) -> tuple[PlannedRun, str, Any]:
        run, what = self._asked.pop(reference)
        try:
            return run, what, ray.get(reference)
        except Exception as error:
            return run, "failed", error

    def _request(self) -> Any:
        assert self.resources.algo_class is not None
        return self.resources.algo_class.default_resource_request(self.resources)


def _quietly(do: Callable[[], object]) -> None:
    """Do what may fail because its process has ended already."""
    try:
        do()
    except Exception:
        return
