"""What is wrong with a machine or a cluster, for an experiment or in general."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import ray

from rllib_recattn.experiment.cluster import gloo, shipping
from rllib_recattn.experiment.cluster.nodes import DISTRIBUTIONS, Node, NodeFacts
from rllib_recattn.experiment.cluster.placement import misfit, what_to_lower

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

_ID_DIGITS = 8  # of a node's id, which tell it from the others of a machine
SMALL_SHARED_MEMORY = 1 * 2**30  # containers have 64 MiB unless told otherwise


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``problem``: training would fail; ``note``: worth knowing; ``ok``: as it should be.
        text: What was found, and what to do, in one sentence.
    """

    level: Literal["problem", "note", "ok"]
    text: str


def check_kernels() -> Finding:
    """Say which kernels in C++ models on this machine's CPUs have, and if none, why and what to do."""
    from rllib_recattn.models.kernels.library import instruction_set, why_none

    reason = why_none()
    if reason is None:
        return Finding("ok", f"kernels in C++ for {instruction_set()}")
    return Finding("note", f"no kernels in C++, AGaLiTe on a CPU is slower without them: {reason}")


def check_answers(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Find nodes that do not answer."""
    for node in nodes:
        if node.facts is None:
            yield Finding("problem", f"{node.label} cannot run a task: {node.error}")


def check_versions(nodes: Sequence[Node], driver: NodeFacts) -> Iterator[Finding]:
    """Find nodes whose Python or libraries are missing or differ from the driver's."""
    for node in nodes:
        if node.facts is None:
            continue
        if node.facts.python.split(".")[:2] != driver.python.split(".")[:2]:
            yield Finding("problem", f"{node.label} has Python {node.facts.python}, the driver has {driver.python}")
        for name in DISTRIBUTIONS:
            there, here = node.facts.versions[name], driver.versions[name]
            if there is None:
                yield Finding("problem", f"{node.label} lacks {name}: install {name}=={here} there")
            elif there != here:
                level: Literal["problem", "note"] = "problem" if name == "ray" else "note"
                yield Finding(level, f"{node.label} has {name} {there}, the driver has {here}")


def check_package(nodes: Sequence[Node], driver: NodeFacts, ship: bool | None) -> Iterator[Finding]:
    """Find nodes without this package; unless `ship` is False it is sent to them."""
    for node in shipping.nodes_that_lack_it(nodes, driver):
        has = shipping.what_it_has(node, driver)
        if ship is False:
            yield Finding("problem", f"{has}: install it there, or leave --no-ship-package out")
        else:
            yield Finding("note", f"{has}: the driver's is sent along")


def check_storage(nodes: Sequence[Node], storage_path: Path) -> Iterator[Finding]:
    """Find nodes that do not see the directory of results, or may not write to it."""
    wrong = [(node, node.facts.storage_error) for node in nodes if node.facts and node.facts.storage_error]
    for node, error in wrong:
        yield Finding(
            "problem", f"storage_path on {node.label}: {error}; should be a directory that all nodes share, as by NFS"
        )
    if not wrong:
        yield Finding("ok", f"storage_path {storage_path} is {'shared and ' if len(nodes) > 1 else ''}writable")


def check_gloo(nodes: Sequence[Node], configs: Sequence[AlgorithmConfig]) -> Iterator[Finding]:
    """Find nodes whose learners the others could not reach, if there are several learners and several nodes."""
    if len(nodes) < 2 or max((config.num_learners for config in configs), default=0) < 2:
        return
    unreachable = gloo.unreachable(nodes)
    interface = gloo.common_interface(nodes)
    if unreachable and interface:
        names = ", ".join(node.label for node in unreachable)
        yield Finding("note", f"{gloo.VARIABLE}={interface} is set for learners: {names} would not be reachable else")
    elif unreachable:
        yield from (Finding("problem", gloo.advice(node)) for node in unreachable)
    else:
        yield Finding("ok", "learners on several nodes can reach each other")


def check_placement(nodes: Sequence[Node], configs: Sequence[AlgorithmConfig]) -> Iterator[Finding]:
    """Find what the nodes can never hold, and what they cannot hold yet."""
    found = set()
    shared = {address for address, count in Counter(node.address for node in nodes).items() if count > 1}
    # Several nodes can share a machine.
    there = {
        f"{node.address} ({node.node_id[:_ID_DIGITS]})" if node.address in shared else node.address: node.resources
        for node in nodes
    }
    for config in configs:
        assert config.algo_class is not None
        request = config.algo_class.default_resource_request(config)
        why_not = misfit(request.bundles, request.strategy, there)
        if why_not is not None and why_not not in found:
            found.add(why_not)
            yield Finding("problem", f"{why_not}: {what_to_lower(config)}")
    if configs and not found:
        yield Finding("ok", "the nodes can hold what the experiment asks for")


def check_free_cpus(configs: Sequence[AlgorithmConfig]) -> Iterator[Finding]:
    """Say if an experiment will have to wait for others."""
    free = ray.available_resources().get("CPU", 0)
    needed = [sum(bundle.get("CPU", 0) for bundle in _bundles(config)) for config in configs]
    if needed and min(needed) > free:
        yield Finding("note", f"{free:g} CPUs are free now, {min(needed):g} are needed: training waits for others")


def check_shared_memory(nodes: Sequence[Node]) -> Iterator[Finding]:
    """Find nodes with so little shared memory that Ray's objects go to disk."""
    for node in nodes:
        size = node.facts.shared_memory if node.facts else None
        if size is not None and size < SMALL_SHARED_MEMORY:
            yield Finding(
                "note",
                f"{node.label} has {size / 2**20:.0f} MiB of /dev/shm, and Ray falls back to disk beyond: give a "
                "container more, as by `docker run --shm-size=4g`",
            )


def check_token() -> Iterator[Finding]:
    """Say whether the cluster asks for a token."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        yield Finding("ok", "the cluster asks for a token, and this process has it")
    else:
        yield Finding(
            "note",
            "the cluster asks for no token: whoever reaches its ports runs code on it; `ray get-auth-token --generate` "
            "makes one, and RAY_AUTH_MODE=token before `ray start` asks for it",
        )


def _bundles(config: AlgorithmConfig) -> list[dict[str, float]]:
    assert config.algo_class is not None
    bundles: list[dict[str, float]] = config.algo_class.default_resource_request(config).bundles
    return bundles
