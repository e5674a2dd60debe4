"""Whether the nodes of a cluster can ever hold what an experiment asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

Amounts = Mapping[str, float]

_TRIES = 100_000  # of placing a bundle; beyond that, Ray is left to find out
_LISTED = 8  # nodes, in a message
_ROUNDING = 1e-4  # Ray counts resources in ten-thousandths
_STRICT_PACK = "placement_strategy: STRICT_PACK"
_STRICT_SPREAD = "placement_strategy: STRICT_SPREAD"


def misfit(bundles: Sequence[Amounts], strategy: str, nodes: Mapping[str, Amounts]) -> str | None:
    """Say why bundles of resources can never be placed on nodes.

    Args:
        bundles: What is asked for; each bundle has to be on one node.
        strategy: Ray's placement strategy, which demands one node for all (STRICT_PACK), a node for each
            (STRICT_SPREAD), or nothing (PACK, SPREAD).
        nodes: A node's name → what it has in all.

    Returns:
        The arithmetic, in one sentence; None if they fit.
    """
    bundles = [{name: amount for name, amount in bundle.items() if amount > 0} for bundle in bundles]
    names = sorted({name for bundle in bundles for name in bundle})
    for name in names:
        asked = [bundle[name] for bundle in bundles if name in bundle]
        there = {node: has.get(name, 0) for node, has in nodes.items()}
        if sum(asked) > sum(there.values()) + _ROUNDING:
            return f"the experiment needs {_amount(name, sum(asked))} ({_sum(asked)}), Ray has {_of_nodes(there)}"
        if max(asked) > max(there.values()) + _ROUNDING:
            return f"the experiment needs {_amount(name, max(asked))} on one node, Ray has {_of_nodes(there)}"
    if strategy == "STRICT_PACK":
        total = {name: sum(bundle.get(name, 0) for bundle in bundles) for name in names}
        if not any(_holds(has, total) for has in nodes.values()):
            return f"the experiment needs {amounts_text(total)} on one node ({_STRICT_PACK}), {_have(nodes, names)}"
        return None
    if strategy == "STRICT_SPREAD" and len(bundles) > len(nodes):
        return f"the experiment needs {len(bundles)} nodes ({_STRICT_SPREAD}), Ray has {len(nodes)}"
    if _can_place(bundles, strategy, nodes) is False:
        kinds = Counter(amounts_text(bundle) for bundle in bundles if bundle)
        asked_for = " and ".join(f"{count} × {kind}" for kind, count in kinds.items())
        apart = f"each on a node of its own ({_STRICT_SPREAD})" if strategy == "STRICT_SPREAD" else "each on one node"
        return f"the experiment needs {asked_for}, {apart}; {_have(nodes, names)}"
    return None


def what_to_lower(config: AlgorithmConfig) -> str:
    """Say which settings ask for resources."""
    return f"lower num_env_runners ({config.num_env_runners}) or num_learners ({config.num_learners})"


def _can_place(bundles: Sequence[Amounts], strategy: str, nodes: Mapping[str, Amounts]) -> bool | None:
    """Try all ways, the largest bundles first; None if there are too many."""
    order = sorted((bundle for bundle in bundles if bundle), key=lambda bundle: sorted(bundle.values()), reverse=True)
    free = [dict(has) for has in nodes.values()]
    tries = 0

    def place(index: int) -> bool:
        nonlocal tries
        if index == len(order):
            return True
        tried: list[dict[str, float]] = []
        for node in free:
            if node in tried or not _holds(node, order[index]):  # one of several that have the same left is enough
                continue
            tries += 1
            if tries > _TRIES:
                raise TimeoutError
            before = dict(node)
            tried.append(before)
            for name, amount in order[index].items():
                node[name] -= amount
            if strategy == "STRICT_SPREAD":
                node.clear()
            if place(index + 1):
                return True
            node.clear()
            node.update(before)
        return False

    try:
        return place(0)
    except (TimeoutError, RecursionError):
        return None


def _holds(has: Amounts, needed: Amounts) -> bool:
    return all(has.get(name, 0) + _ROUNDING >= amount for name, amount in needed.items())


def amounts_text(amounts: Amounts) -> str:
    """Write amounts of resources: ``2 CPUs with 1 GPU``."""
    return " with ".join(_amount(name, amount) for name, amount in amounts.items())


def _amount(name: str, amount: float) -> str:
    return f"{amount:g} {name}{'s' if name in ('CPU', 'GPU') and amount != 1 else ''}"


def _sum(amounts: Sequence[float]) -> str:
    """Write a sum, equal terms that follow each other as a product."""
    terms: list[tuple[float, int]] = []
    for amount in amounts:
        if terms and terms[-1][0] == amount:
            terms[-1] = (amount, terms[-1][1] + 1)
        else:
            terms.append((amount, 1))
    return " + ".join(f"{amount:g}" if count == 1 else f"{count} × {amount:g}" for amount, count in terms)


def _of_nodes(there: Mapping[str, float]) -> str:
    if len(there) == 1:
        return f"{sum(there.values()):g}"
    each = ", ".join(f"{amount:g} on {node}" for node, amount in there.items())
    if len(there) > _LISTED:
        each = f"at most {max(there.values()):g} on one of {len(there)} nodes"
    return f"{sum(there.values()):g} ({each})"


def _have(nodes: Mapping[str, Amounts], names: Sequence[str]) -> str:
    kinds = Counter(amounts_text({name: has.get(name, 0) for name in names}) for has in nodes.values())
    if len(nodes) > _LISTED:
        return "Ray has " + " and ".join(f"{count} nodes with {kind}" for kind, count in kinds.items())
    return "Ray has " + ", ".join(
        f"{amounts_text({name: has.get(name, 0) for name in names})} on {node}" for node, has in nodes.items()
    )
