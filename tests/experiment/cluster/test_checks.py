"""What is found about nodes, on nodes that are made up."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from ray.rllib.algorithms.ppo import PPOConfig
from rich.console import Console

from rllib_recattn.experiment.cluster import checks, gloo, report
from rllib_recattn.experiment.cluster.checks import Finding
from rllib_recattn.experiment.cluster.nodes import DISTRIBUTIONS, Node, NodeFacts
from rllib_recattn.experiment.cluster.prepare import Examination

FACTS = NodeFacts(
    hostname="one",
    hostname_address="10.0.0.1",
    interface="eth0",
    gloo_interface=None,
    python="3.11.7",
    versions=dict.fromkeys(DISTRIBUTIONS, "1.0"),
    package_version="0.1.0",
    package_digest="abc",
    shared_memory=8 * 2**30,
    storage_error=None,
)
ONE = Node("10.0.0.1", "1", {"CPU": 4.0}, FACTS)
LEARNERS = PPOConfig().learners(num_learners=2)


def node(number=2, **facts):
    address = f"10.0.0.{number}"
    given = {"hostname": f"host{number}", "hostname_address": address, **facts}
    return Node(address, str(number), {"CPU": 4.0}, replace(FACTS, **given))


def texts(findings, level):
    return [finding.text for finding in findings if finding.level == level]


def test_equal_nodes_give_no_reason_to_complain():
    nodes = [ONE, node()]
    assert not list(checks.check_answers(nodes))
    assert not list(checks.check_versions(nodes, FACTS))
    assert not list(checks.check_package(nodes, FACTS, None))
    assert not list(checks.check_shared_memory(nodes))
    found = [
        *checks.check_storage(nodes, Path("/shared")),
        *checks.check_gloo(nodes, [LEARNERS]),
        *checks.check_placement(nodes, [LEARNERS]),
    ]
    assert len(texts(found, "ok")) == len(found) == 3


def test_a_node_that_does_not_answer():
    silent = Node("10.0.0.2", "2", {}, error="no answer within 120 s")
    (found,) = checks.check_answers([ONE, silent])
    assert (found.level, found.text) == ("problem", "10.0.0.2 cannot run a task: no answer within 120 s")
    others = [
        *checks.check_versions([silent], FACTS),
        *checks.check_package([silent], FACTS, False),
        *checks.check_shared_memory([silent]),
        *checks.check_gloo([silent, silent], [LEARNERS]),
    ]
    assert not texts(others, "problem")


@pytest.mark.parametrize(
    ("facts", "level", "text"),
    [
        ({"python": "3.12.1"}, "problem", "10.0.0.2 (host2) has Python 3.12.1, the driver has 3.11.7"),
        ({"versions": FACTS.versions | {"ray": "2.0"}}, "problem", "10.0.0.2 (host2) has ray 2.0, the driver has 1.0"),
        ({"versions": FACTS.versions | {"torch": "2.0"}}, "note", "10.0.0.2 (host2) has torch 2.0, the driver has 1.0"),
        (
            {"versions": FACTS.versions | {"gymnasium": None}},
            "problem",
            "10.0.0.2 (host2) lacks gymnasium: install gymnasium==1.0 there",
        ),
    ],
)
def test_versions_that_differ(facts, level, text):
    (found,) = checks.check_versions([ONE, node(**facts)], FACTS)
    assert (found.level, found.text) == (level, text)


@pytest.mark.parametrize(
    ("facts", "has"),
    [
        ({"package_version": None, "package_digest": None}, "has no rllib_recattn"),
        ({"package_version": "0.0.9", "package_digest": "d"}, "has rllib_recattn 0.0.9, not 0.1.0"),
        ({"package_digest": "d"}, "has other source files of rllib_recattn 0.1.0"),
    ],
)
def test_the_package_is_sent_unless_that_is_switched_off(facts, has):
    nodes = [ONE, node(**facts)]
    for ship in (None, True):
        (found,) = checks.check_package(nodes, FACTS, ship)
        assert (found.level, found.text) == ("note", f"10.0.0.2 (host2) {has}: the driver's is sent along")
    (found,) = checks.check_package(nodes, FACTS, False)
    assert found.level == "problem"
    assert found.text == f"10.0.0.2 (host2) {has}: install it there, or leave --no-ship-package out"


def test_storage_that_is_not_shared():
    found = list(checks.check_storage([ONE, node(storage_error="/r cannot be read: Why")], Path("/r")))
    assert texts(found, "problem") == [
        "storage_path on 10.0.0.2 (host2): /r cannot be read: Why; should be a directory that all nodes share, "
        "as by NFS"
    ]
    assert not texts(found, "ok")


LOOPBACK = {"hostname_address": "127.0.1.1"}


@pytest.mark.parametrize("hostname_address", ["127.0.1.1", "172.17.0.1", None])
def test_an_interface_that_all_have_is_set_for_learners(hostname_address):
    nodes = [ONE, node(hostname_address=hostname_address)]
    (found,) = checks.check_gloo(nodes, [LEARNERS])
    assert found.level == "note"
    assert found.text == "GLOO_SOCKET_IFNAME=eth0 is set for learners: 10.0.0.2 (host2) would not be reachable else"
    assert gloo.common_interface(nodes) == "eth0"


@pytest.mark.parametrize(
    ("one", "two", "names"),
    [
        ({}, {**LOOPBACK, "interface": "eth1"}, ["eth1"]),
        (LOOPBACK, {**LOOPBACK, "interface": None}, ["eth0", "<the interface of that address>"]),
        (LOOPBACK, {**LOOPBACK, "gloo_interface": "ib0"}, ["eth0"]),
    ],
)
def test_interfaces_of_different_names_are_for_the_user_to_set(one, two, names):
    found = list(checks.check_gloo([node(1, **one), node(2, **two)], [LEARNERS]))
    problems = texts(found, "problem")
    assert len(problems) == len(found) == len(names)
    for problem, name in zip(problems, names, strict=True):
        assert f"start Ray there with GLOO_SOCKET_IFNAME={name} ray start …" in problem
        assert "127.0.1.1" in problem


def test_a_chosen_interface_is_left_alone():
    nodes = [node(1, **LOOPBACK, gloo_interface="ib0"), node(2, **LOOPBACK, gloo_interface="ib1")]
    (found,) = checks.check_gloo(nodes, [LEARNERS])
    assert found.level == "ok"


def test_nothing_is_said_of_ipv6():
    nodes = [replace(node(1), address="fd00::1"), replace(node(2, **LOOPBACK), address="fd00::2")]
    assert [finding.level for finding in checks.check_gloo(nodes, [LEARNERS])] == ["ok"]


@pytest.mark.parametrize("num_learners", [0, 1])
def test_a_single_learner_talks_to_nobody(num_learners):
    config = PPOConfig().learners(num_learners=num_learners)
    assert not list(checks.check_gloo([ONE, node(**LOOPBACK)], [config]))
    assert not list(checks.check_gloo([node(**LOOPBACK)], [LEARNERS]))


def test_nodes_that_share_a_machine_count_each():
    nodes = [ONE, replace(ONE, node_id="2" * 56)]
    assert not texts(checks.check_placement(nodes, [PPOConfig().env_runners(num_env_runners=7)]), "problem")
    (problem,) = texts(checks.check_placement(nodes, [PPOConfig().env_runners(num_env_runners=8)]), "problem")
    assert "Ray has 8 (4 on 10.0.0.1 (1), 4 on 10.0.0.1 (22222222))" in problem


def test_what_does_not_fit_is_said_once():
    fits, too_large = PPOConfig(), PPOConfig().env_runners(num_env_runners=2, num_cpus_per_env_runner=3)
    found = list(checks.check_placement([ONE], [fits, too_large, too_large.copy()]))
    assert [finding.level for finding in found] == ["problem"]
    assert found[0].text == (
        "the experiment needs 7 CPUs (1 + 2 × 3), Ray has 4: lower num_env_runners (2) or num_learners (0)"
    )


def test_little_shared_memory():
    (found,) = checks.check_shared_memory([ONE, node(shared_memory=64 * 2**20), node(3, shared_memory=None)])
    assert found.level == "note"
    assert found.text.startswith("10.0.0.2 (host2) has 64 MiB of /dev/shm")


@pytest.mark.parametrize(("mode", "level"), [("token", "ok"), ("disabled", "note"), (None, "note")])
def test_token(monkeypatch, mode, level):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    (found,) = checks.check_token()
    assert found.level == level


def test_the_table_marks_what_differs(monkeypatch):
    monkeypatch.setattr(report, "driver_facts", lambda: FACTS)
    other = node(versions=FACTS.versions | {"torch": "2.0"}, package_digest="d")
    nodes = [ONE, other, node(3, package_version=None, package_digest=None), Node("10.0.0.4", "4", {}, error="why")]
    console = Console(file=io.StringIO(), width=120)
    findings = [Finding("problem", "bad"), Finding("ok", "good"), Finding("note", "well")]
    report.print_examination(Examination(nodes, findings), console)
    *table, first, second, third = console.file.getvalue().splitlines()
    assert (first, second, third) == ("✓ good", "! well", "✗ bad")
    rows = {line.split()[0]: line for line in table if line.strip().startswith("10.")}
    assert "here" not in rows["10.0.0.1"]
    assert "2.0 (here 1.0)" in rows["10.0.0.2"]
    assert "0.1.0 (changed)" in rows["10.0.0.2"]
    assert "none (here 0.1.0)" in rows["10.0.0.3"]
    assert "no answer" in rows["10.0.0.4"]
