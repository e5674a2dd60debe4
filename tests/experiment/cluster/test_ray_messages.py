"""What is printed of Ray's messages about nodes."""

from __future__ import annotations

import pytest
from ray._private import worker

from rllib_recattn.experiment.cluster.ray_messages import short_messages

ENDED = (
    "Raylet is terminated. Termination is unexpected. Possible reasons include: …\n    [state-dump] Push - 1 total\n"
)
DEAD = (
    "The node with node id: aac6d55d and address: 192.0.2.2 and node name: 192.0.2.2 has been marked dead because the "
    "detector has missed too many heartbeats from it. This can happen when a \t(1) raylet crashes\n\t(2) raylet lags"
)
MEMORY = "1 Workers (tasks / actors) killed due to memory pressure (OOM)"


@pytest.fixture
def told(monkeypatch):
    told = []
    monkeypatch.setattr(worker, "print_to_stdstream", lambda data, ignore_prefix: told.append(data["lines"]))
    with short_messages(told.append):
        yield told


def tell(*lines, pid="raylet"):
    worker.print_to_stdstream({"lines": list(lines), "pid": pid, "is_err": False}, ignore_prefix=False)


def test_a_lost_node_takes_two_lines_however_often_ray_says_it(told):
    for message in (ENDED, DEAD, ENDED, DEAD.replace("192.0.2.2", "192.0.2.3")):
        tell(message)
    assert told == [
        "Ray: the process that ran a node has ended, by SIGKILL, for lack of memory, or by a crash.",
        "Ray: the node 192.0.2.2 does not answer, and counts as lost.",
        "Ray: the node 192.0.2.3 does not answer, and counts as lost.",
    ]


def test_all_else_is_printed_as_it_is(told):
    tell(MEMORY)
    tell(ENDED, pid=17)
    assert told == [[MEMORY], [ENDED]]


def test_ray_prints_by_itself_again_afterwards():
    before = worker.print_to_stdstream
    with short_messages(print):
        assert worker.print_to_stdstream is not before
    assert worker.print_to_stdstream is before
