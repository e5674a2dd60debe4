"""Making a cluster ready for an experiment: looking at it, sending what it lacks, trying it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.cluster import checks, gloo, shipping
from rllib_recattn.experiment.cluster.address import connect
from rllib_recattn.experiment.cluster.checks import Finding
from rllib_recattn.experiment.cluster.nodes import (
    Node,
    driver_facts,
    examine_nodes,
    load_and_make,
    on_every_node,
    this_machine,
)
from rllib_recattn.experiment.cluster.storage import trial_directory
from rllib_recattn.experiment.definition.load import environments_of
from rllib_recattn.importing import importable_folders

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    from rllib_recattn.experiment.definition.spec import Experiment


@dataclass(frozen=True)
class Examination:
    """What was found out about a cluster.

    Attributes:
        nodes: Its nodes that are alive, the head first.
        findings: What is wrong, worth knowing or as it should be.
    """

    nodes: Sequence[Node]
    findings: Sequence[Finding]

    @property
    def problems(self) -> list[str]:
        """What training would fail of."""
        return [finding.text for finding in self.findings if finding.level == "problem"]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing."""
        return [finding.text for finding in self.findings if finding.level == "note"]


def prepare_cluster(
    address: str,
    *,
    experiment: Experiment | None = None,
    configs: Sequence[AlgorithmConfig] = (),
    storage_path: Path | None = None,
    ship: bool | None = None,
    verbose: int = 0,
) -> Examination:
    """Look at every node of the cluster that this process is connected to, and send what they lack.

    If they lack something, the process is connected again, with a runtime environment that has it.

    Args:
        address: What :func:`~rllib_recattn.experiment.cluster.address.connect` was called with.
        experiment: What is to run; None: nothing in particular.
        configs: The algorithm's config, or those of all variants of a sweep.
        storage_path: Where results go; None: they are not looked after.
        ship: Whether to send this package along: True always, also for nodes that join later, False never, None if a
            node lacks it or has another version.
        verbose: Above 0, Ray's own log is shown.

    Returns:
        What was found. Problems are not raised.

    Raises:
        SettingsError: If the connection is lost.
    """
    driver = driver_facts()
    nodes, of_storage = _examined(examine_nodes, storage_path)
    findings = [*checks.check_token(), *of_storage]
    findings += checks.check_answers(nodes)
    findings += checks.check_versions(nodes, driver)
    findings += checks.check_package(nodes, driver, ship)
    findings += checks.check_shared_memory(nodes)
    findings += checks.check_gloo(nodes, configs)
    findings += checks.check_placement(nodes, configs)
    examination = Examination(nodes, findings)
    if examination.problems:
        return examination
    findings += checks.check_free_cpus(configs)

    lacking = bool(shipping.nodes_that_lack_it(nodes, driver))
    environment: dict[str, Any] = {}
    if ship or (ship is None and lacking):
        environment |= shipping.shipped_package()
    if any(config.num_learners > 1 for config in configs) and len(nodes) > 1 and gloo.unreachable(nodes):
        environment |= {"env_vars": {gloo.VARIABLE: gloo.common_interface(nodes)}}
    if environment:
        ray.shutdown()
        connect(address, environment, verbose)
    if experiment is not None:
        for env, env_config in environments_of(experiment):
            findings += _try_out(env, env_config, nodes)
    return examination


def ready_cluster(
    address: str, experiment: Experiment, configs: Sequence[AlgorithmConfig], ship: bool | None, verbose: int = 0
) -> Sequence[str]:
    """Make the cluster ready for an experiment, as :func:`prepare_cluster` does, or refuse to train there.

    Returns:
        What is worth knowing.

    Raises:
        SettingsError: With a line for each problem.
    """
    found = prepare_cluster(
        address,
        experiment=experiment,
        configs=configs,
        storage_path=experiment.storage_path,
        ship=ship,
        verbose=verbose,
    )
    if found.problems:
        raise SettingsError("\n".join(f"--ray-address {address}: {problem}" for problem in found.problems))
    return found.notes


def examine_this_machine(
    experiment: Experiment | None = None,
    configs: Sequence[AlgorithmConfig] = (),
    storage_path: Path | None = None,
) -> Examination:
    """Look at the machine that this process runs on, without starting Ray.

    Args:
        experiment: What is to run; None: nothing in particular.
        configs: The algorithm's config, or those of all variants of a sweep.
        storage_path: Where results go; None: they are not looked after.

    Returns:
        What was found. Problems are not raised.
    """
    nodes, findings = _examined(lambda directory: [this_machine(directory)], storage_path)
    findings += checks.check_shared_memory(nodes)
    findings += checks.check_placement(nodes, configs)
    findings.append(checks.check_kernels())
    if experiment is not None:
        findings += [_tried_here(env, env_config) for env, env_config in environments_of(experiment)]
    return Examination(nodes, findings)


def _examined(
    examine: Callable[[Path | None], list[Node]], storage_path: Path | None
) -> tuple[list[Node], list[Finding]]:
    """Look at nodes, with a directory to try if one can be made where results go; also return what was found there."""
    if storage_path is None:
        return examine(None), []
    try:
        with trial_directory(storage_path) as directory:
            nodes = examine(directory)
    except SettingsError as error:
        return examine(None), [Finding("problem", str(error))]
    return nodes, list(checks.check_storage(nodes, storage_path))


def _tried_here(env: str, env_config: Mapping[str, Any]) -> Finding:
    try:
        load_and_make(env, env_config)
    except SettingsError as error:
        return Finding("problem", str(error))
    except Exception as error:  # whatever the environment's own code raises
        return Finding("problem", f"the environment {env} cannot be made: {type(error).__name__}: {error}")
    return Finding("ok", f"the environment {env} can be made")


def _try_out(env: str, env_config: Mapping[str, Any], nodes: Sequence[Node]) -> list[Finding]:
    errors = on_every_node(load_and_make, nodes, env, env_config)
    if not errors:
        return [Finding("ok", f"the environment {env} can be made on every node")]
    return [
        Finding("problem", f"{label} cannot make the environment {env}: {error}{_where_modules_lie(error)}")
        for label, error in errors.items()
    ]


def _where_modules_lie(error: str) -> str:
    if not importable_folders() or "cannot be imported" not in error:
        return ""
    folder = importable_folders()[0]
    return (
        f"; what lies beside the experiment's file has to lie in {folder} there as well, or in a folder that Ray is "
        "told when it starts there: PYTHONPATH=DIR ray start …"
    )
