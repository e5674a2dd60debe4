"""The network interface through which learners on several nodes reach each other.

PyTorch's gloo listens at the address that a machine takes its own name for. Where that is a loopback address, or that
of a network that the other nodes are not in, learners on other nodes wait for it until they give up; with
``GLOO_SOCKET_IFNAME`` it takes the interface of that name.
"""

from __future__ import annotations

from collections.abc import Sequence

from rllib_recattn.experiment.cluster.nodes import Node, NodeFacts

VARIABLE = "GLOO_SOCKET_IFNAME"


def unreachable(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes at which gloo would listen where the others cannot reach it, as far as IPv4 tells."""
    return [node for node in nodes if node.facts and ":" not in node.address and not _is_reachable(node, node.facts)]


def common_interface(nodes: Sequence[Node]) -> str | None:
    """Return the interface that has the cluster's address on all nodes, None if there is no such name.

    A variable that is set for all learners would also replace what somebody chose on a node: then there is none.
    """
    names = {node.facts.interface if node.facts and not node.facts.gloo_interface else None for node in nodes}
    return names.pop() if len(names) == 1 else None


def advice(node: Node) -> str:
    """Say what to do on a node, in one sentence."""
    assert node.facts is not None
    interface = node.facts.interface or "<the interface of that address>"
    return (
        f"learners on other nodes cannot reach {node.label}, which takes its own name for "
        f"{node.facts.hostname_address or 'no address'}: start Ray there with {VARIABLE}={interface} ray start …"
    )


def _is_reachable(node: Node, facts: NodeFacts) -> bool:
    return facts.gloo_interface is not None or facts.hostname_address == node.address
