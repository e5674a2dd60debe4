"""What Ray's core keeps to itself and this package relies on, with what for; loads Ray only when it is called.

A test calls each function, and fails with the sentence that a user would read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rllib_recattn.private_names import import_private, optional_private, private, set_private

_LOOPBACK = "to start a Ray that only this machine can reach"
_ACTORS_ORIGIN = "__ray_actor_class__"
_ALIVE = 0  # GcsNodeInfo.GcsNodeState


def init_at(ip_address: str, **settings: Any) -> None:
    """Start a Ray whose node has an IP address of our choice: ``ray.init`` takes it as an undocumented argument.

    Args:
        ip_address: The address.
        **settings: Those of ``ray.init``.
    """
    import ray

    ray.init(address="local", _node_ip_address=ip_address, **settings)


@contextmanager
def keeping_loopback_addresses() -> Iterator[None]:
    """Let Ray leave the loopback address as it is, for which it puts one that other machines reach.

    It does so where it knows of no clusters, on macOS and Windows (_private/services.py, ``get_node_ip_address``). The
    environment variable that says it has been read by now.
    """
    constants, name = import_private("ray._private", "ray_constants", _LOOPBACK), "ENABLE_RAY_CLUSTER"
    before = private(constants, name, _LOOPBACK)
    set_private(constants, name, False, _LOOPBACK)
    try:
        yield
    finally:
        set_private(constants, name, before, _LOOPBACK)


def resolved_address(address: str) -> str | None:
    """Return the ``host:port`` that ``ray.init`` would connect to; None if no Ray runs here.

    Raises:
        ValueError: If it is none.
    """
    why = "to find out whether a cluster answers before Ray waits for it"
    resolve = import_private("ray._private.services", "canonicalize_bootstrap_address", why)
    found: str | None = resolve(address)
    return found


def addresses_of_nodes(address: str) -> list[str]:
    """Return the IP addresses of a cluster's nodes, before this process is connected to it.

    Args:
        address: ``host:port`` of its head.

    Raises:
        Exception: Whatever Ray raises if it gets no answer, ``AuthenticationError`` for a wrong token.
    """
    why = "to find out whether this machine is a node of a cluster, before Ray tries on and on"
    client = import_private("ray._raylet", "GcsClient", why)(address=address, cluster_id=None)
    nodes = private(client, "get_all_node_info", why)().values()
    return [node.node_manager_address for node in nodes if node.state == _ALIVE]


def cpus_of_this_machine() -> float:
    """Return how many CPUs Ray would count here: in a container, those that it may use."""
    return float(import_private("ray._private.utils", "get_num_cpus", "to check resources before Ray starts")())


def job_config(folders: Sequence[str]) -> Any:
    """Return what Ray tells the processes that work for this one: the folders where modules lie besides."""
    from ray.job_config import JobConfig

    config = JobConfig()
    set_private(config, "_py_driver_sys_path", list(folders), "to let workers import what lies beside an experiment")
    return config


@contextmanager
def printing(wrapper: Callable[[Callable[..., None]], Callable[..., None]]) -> Iterator[None]:
    """Have a driver print what the processes of a cluster report with what `wrapper` makes of Ray's function.

    Without that function, messages stay as long as Ray makes them.
    """
    name, why = "print_to_stdstream", "to shorten messages about lost nodes"
    worker = import_private("ray._private", "worker", why)
    original = optional_private(worker, name, why)
    if original is None:
        yield
        return
    setattr(worker, name, wrapper(original))
    try:
        yield
    finally:
        setattr(worker, name, original)


def class_of_actor(of_actor: type) -> type:
    """Return the class that Ray has derived an actor's class from; another class is its own."""
    origin: type = vars(of_actor).get(_ACTORS_ORIGIN, of_actor)
    return origin
