import itertools
import random

import pytest
from ray.rllib.algorithms.ppo import PPOConfig

from rllib_recattn.experiment.cluster.placement import misfit, what_to_lower

CPU = [{"CPU": 1.0}] * 3
TWO = {"a": {"CPU": 2.0}, "b": {"CPU": 2.0}}


@pytest.mark.parametrize(
    ("bundles", "nodes", "sentence"),
    [
        (CPU, {"a": {"CPU": 2}}, "the experiment needs 3 CPUs (3 × 1), Ray has 2"),
        (
            [{"CPU": 1, "GPU": 1}],
            TWO,
            "the experiment needs 1 GPU (1), Ray has 0 (0 on a, 0 on b)",
        ),
        (
            [{"CPU": 1}, {"CPU": 3}],
            TWO,
            "the experiment needs 3 CPUs on one node, Ray has 4 (2 on a, 2 on b)",
        ),
        (
            [{"CPU": 1}, {"CPU": 3}, {"CPU": 3}],
            {"a": {"CPU": 5}, "b": {"CPU": 2}},
            "the experiment needs 1 × 1 CPU and 2 × 3 CPUs, each on one node; Ray has 5 CPUs on a, 2 CPUs on b",
        ),
        ([{"CPU": 1, "TPU": 1}], TWO, "the experiment needs 1 TPU (1), Ray has 0 (0 on a, 0 on b)"),
    ],
)
def test_the_arithmetic_of_what_can_never_be_placed(bundles, nodes, sentence):
    assert misfit(bundles, "PACK", nodes) == sentence


def test_resources_of_different_kinds_have_to_be_on_the_same_node():
    nodes = {"a": {"CPU": 1, "GPU": 1}, "b": {"CPU": 8}}
    assert misfit([{"CPU": 2}, {"CPU": 1, "GPU": 1}], "PACK", nodes) is None
    problem = misfit([{"CPU": 2, "GPU": 1}], "PACK", nodes)
    assert problem is not None
    assert "1 × 2 CPUs with 1 GPU, each on one node" in problem


@pytest.mark.parametrize(
    ("strategy", "bundles", "problem"),
    [
        ("STRICT_PACK", CPU, "3 CPUs on one node (placement_strategy: STRICT_PACK)"),
        ("STRICT_SPREAD", CPU, "3 nodes (placement_strategy: STRICT_SPREAD), Ray has 2"),
        ("STRICT_PACK", CPU[:2], None),
        ("STRICT_SPREAD", CPU[:2], None),
        ("SPREAD", CPU, None),
    ],
)
def test_strategies(strategy, bundles, problem):
    found = misfit(bundles, strategy, TWO)
    assert found is problem or problem in found


def test_strict_spread_gives_each_bundle_a_node_of_its_own():
    problem = misfit([{"CPU": 2}, {"CPU": 2}], "STRICT_SPREAD", {"a": {"CPU": 4}, "b": {"CPU": 1}})
    assert problem is not None
    assert "each on a node of its own" in problem


@pytest.mark.parametrize("strategy", ["PACK", "STRICT_SPREAD", "STRICT_PACK"])
def test_against_trying_everything(strategy):
    rng = random.Random(0)
    outcomes = set()
    for _ in range(300):
        kinds = ("CPU", "GPU") if rng.random() < 0.5 else ("CPU",)
        bundles = [{kind: rng.randint(0, 3) for kind in kinds} for _ in range(rng.randint(1, 4))]
        nodes = {name: {kind: rng.randint(0, 5) for kind in kinds} for name in "abc"[: rng.randint(1, 3)]}
        expected = any(
            all(
                sum(bundle[kind] for bundle, at in zip(bundles, placement, strict=True) if at == node) <= has[kind]
                for node, has in nodes.items()
                for kind in kinds
            )
            for placement in itertools.product(nodes, repeat=len(bundles))
            if strategy == "PACK" or len(set(placement)) == (1 if strategy == "STRICT_PACK" else len(bundles))
        )
        assert (misfit(bundles, strategy, nodes) is None) == expected, (bundles, nodes)
        outcomes.add(expected)
    assert outcomes == {True, False}


def test_large_requests_are_decided_quickly_or_left_to_ray():
    nodes = {str(i): {"CPU": 64.0} for i in range(40)}
    assert misfit([{"CPU": 1.0}] * 2000, "PACK", nodes) is None
    assert misfit([{"CPU": 33.0}] * 41, "PACK", nodes) is not None
    uneven = {str(i): {"CPU": 60.0 + i / 2} for i in range(30)}
    assert misfit([{"CPU": 20.0 + i / 10} for i in range(60)], "PACK", uneven) is None


def test_many_nodes_are_not_listed_one_by_one():
    nodes = {str(i): {"CPU": 2.0 + (i == 7)} for i in range(40)}
    assert misfit([{"CPU": 4.0}], "PACK", nodes) == (
        "the experiment needs 4 CPUs on one node, Ray has 81 (at most 3 on one of 40 nodes)"
    )
    assert str(misfit([{"CPU": 2.0}] * 41, "PACK", nodes)).endswith("Ray has 81 (at most 3 on one of 40 nodes)")
    assert misfit([{"CPU": 1.5}] * 41, "PACK", nodes) is None
    assert misfit([{"CPU": 1.6}] * 41, "PACK", nodes) == (
        "the experiment needs 41 × 1.6 CPUs, each on one node; Ray has 39 nodes with 2 CPUs and 1 nodes with 3 CPUs"
    )


def test_the_settings_to_lower_are_named():
    config = PPOConfig().env_runners(num_env_runners=7).learners(num_learners=2)
    assert what_to_lower(config) == "lower num_env_runners (7) or num_learners (2)"
