"""The nodes of a cluster and what each tells about itself."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rllib_recattn.experiment.cluster import probe
from rllib_recattn.experiment.definition.environment import env_creator, find_env
from rllib_recattn.ray_internals import cpus_of_this_machine

PACKAGE = "rllib_recattn"
DISTRIBUTIONS = ("ray", "torch", "gymnasium", "numpy")
# A worker process starts within seconds, and RLlib loads within ten, on a node that is not overloaded.
ANSWER_SECONDS = 120.0
TRY_OUT_SECONDS = 600.0


@dataclass(frozen=True)
class NodeFacts:
    """What a node tells about itself.

    Attributes:
        hostname: Its name.
        hostname_address: The IPv4 address that it takes its own name for, if any.
        interface: The network interface that has the address by which the cluster knows it, if that can be told.
        gloo_interface: What ``GLOO_SOCKET_IFNAME`` is set to.
        python: The version of Python.
        versions: Of the distributions in :data:`DISTRIBUTIONS`; None: not installed.
        package_version: The version of this package; None: it cannot be imported.
        package_digest: Of its source files.
        shared_memory: The size of ``/dev/shm`` in bytes.
        storage_error: What is wrong with the storage path there; None: nothing, or it was not tried.
    """

    hostname: str
    hostname_address: str | None
    interface: str | None
    gloo_interface: str | None
    python: str
    versions: Mapping[str, str | None]
    package_version: str | None
    package_digest: str | None
    shared_memory: int | None
    storage_error: str | None


@dataclass(frozen=True)
class Node:
    """A machine that training may run on.

    Attributes:
        address: Its IP address.
        node_id: Ray's name for it.
        resources: What it has in all: CPU, GPU, memory (bytes) and custom resources.
        facts: What it tells about itself; None if it did not answer.
        error: Why it did not answer.
    """

    address: str
    node_id: str
    resources: Mapping[str, float]
    facts: NodeFacts | None = None
    error: str | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.address} ({self.facts.hostname})" if self.facts else self.address


def this_machine(storage: Path | None = None) -> Node:
    """Look at the machine that this process runs on, without Ray.

    Args:
        storage: A directory to try, as for :func:`examine_nodes`.
    """
    facts = probe.node_facts(PACKAGE, list(DISTRIBUTIONS), None, str(storage) if storage else None)
    return Node("this machine", "", {"CPU": cpus_of_this_machine()}, NodeFacts(**facts))


def driver_facts() -> NodeFacts:
    """Return what the process tells about itself from which an experiment is started."""
    return NodeFacts(**probe.node_facts(PACKAGE, list(DISTRIBUTIONS), None, None))


def examine_nodes(storage: Path | None = None) -> list[Node]:
    """Look at every node of the cluster that this process is connected to.

    Args:
        storage: A directory that each node should find, read and write, made by this process for the purpose and
            holding a file ``driver``.

    Returns:
        The nodes that are alive, the head first.
    """
    # A node need not have this package, so what runs there cannot be imported there.
    cloudpickle.register_pickle_by_value(probe)
    try:
        task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(probe.node_facts)
        alive = sorted((node for node in ray.nodes() if node["Alive"]), key=_head_first)
        answers = [
            task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
                PACKAGE, list(DISTRIBUTIONS), node["NodeManagerAddress"], str(storage) if storage else None
            )
            for node in alive
        ]
    finally:
        cloudpickle.unregister_pickle_by_value(probe)
    return [_answered(node, answer) for node, answer in zip(alive, answers, strict=True)]


def on_every_node(function: Any, nodes: Sequence[Node], *arguments: Any) -> dict[str, str]:
    """Run a function of this package on nodes that have it, side by side.

    Args:
        function: What to run; what it returns is dropped.
        nodes: Where to run it.
        arguments: What to call it with.

    Returns:
        A node's label → what it raised, in one line, for those where it raised.
    """
    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(function)
    running = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)).remote(*arguments)
        for node in nodes
    ]
    errors = {}
    for node, answer in zip(nodes, running, strict=True):
        _, error = _get(answer, TRY_OUT_SECONDS)
        if error is not None:
            errors[node.label] = error
    return errors


def _head_first(node: Mapping[str, Any]) -> tuple[bool, bytes]:
    try:
        address = socket.inet_aton(node["NodeManagerAddress"])
    except OSError:
        address = node["NodeManagerAddress"].encode()
    return "node:__internal_head__" not in node["Resources"], address


def _answered(node: Mapping[str, Any], answer: Any) -> Node:
    resources = {name: amount for name, amount in node["Resources"].items() if not name.startswith("node:")}
    facts, error = _get(answer, ANSWER_SECONDS)
    return Node(
        address=node["NodeManagerAddress"],
        node_id=node["NodeID"],
        resources=resources,
        facts=None if facts is None else NodeFacts(**facts),
        error=error,
    )


def _get(answer: Any, seconds: float) -> tuple[Any, str | None]:
    """Wait for what a task returns; if it fails, say why in one line."""
    try:
        return ray.get(answer, timeout=seconds), None
    except ray.exceptions.GetTimeoutError:
        ray.cancel(answer, force=True)
        return None, f"no answer within {seconds:g} s"
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if error.cause is not None else error
        return None, " ".join(f"{type(cause).__name__}: {cause}".split())[:500]
    except ray.exceptions.RayError as error:
        return None, " ".join(str(error).split())[:500]


def load_and_make(env: str, env_config: Mapping[str, Any]) -> None:
    """Import what training imports, and make the environment once.

    Args:
        env: Its id, or the path of what makes it.
        env_config: Its settings.

    Raises:
        Exception: Whatever that raises here, such as that a package is missing.
    """
    importlib.import_module("rllib_recattn.rl_module.use_model")
    find_env(env, "env")
    env_creator(env, "env", env_config)(dict(env_config)).close()
