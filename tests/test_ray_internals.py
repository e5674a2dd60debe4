"""What Ray's core keeps to itself is still there.

A new version of Ray that breaks one of the functions fails here with the sentence that a user would read.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from rllib_recattn import private_names, ray_internals
from rllib_recattn.private_names import MissingNameError
from rllib_recattn.tested_versions import UntestedVersionWarning


def test_init_at(monkeypatch):
    taken, given = inspect.getsource(ray.init), {}
    monkeypatch.setattr(ray, "init", lambda **settings: given.update(settings))
    ray_internals.init_at("127.0.0.1", num_cpus=1)
    assert given == {"address": "local", "num_cpus": 1, "_node_ip_address": "127.0.0.1"}
    assert '"_node_ip_address"' in taken, (
        "ray.init takes no _node_ip_address any more, which rllib_recattn needs to start a Ray at the loopback address"
    )


def test_keeping_loopback_addresses():
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    with ray_internals.keeping_loopback_addresses():
        assert ray_constants.ENABLE_RAY_CLUSTER is False
    assert ray_constants.ENABLE_RAY_CLUSTER is before
    assert "ENABLE_RAY_CLUSTER" in inspect.getsource(ray._private.services), (
        "Ray does not ask ENABLE_RAY_CLUSTER any more, by which rllib_recattn keeps it at the loopback address"
    )


def test_resolved_address():
    assert ray_internals.resolved_address("192.0.2.1:6379") == "192.0.2.1:6379"
    with pytest.raises(ValueError):
        ray_internals.resolved_address("127.0.0.1")


def test_addresses_of_nodes(ray_session):
    assert ray_internals.addresses_of_nodes(ray.get_runtime_context().gcs_address) == [ray.util.get_node_ip_address()]


def test_cpus_of_this_machine():
    assert ray_internals.cpus_of_this_machine() >= 1


def test_job_config():
    proto = ray_internals.job_config(["/beside"])._get_proto_job_config()
    assert list(proto.py_driver_sys_path) == ["/beside"]


def test_printing():
    from ray._private import worker

    original, printed = worker.print_to_stdstream, []
    with ray_internals.printing(lambda _: printed.append):
        worker.print_to_stdstream("a message")
    assert (printed, worker.print_to_stdstream) == (["a message"], original)
    assert callable(original)


def test_class_of_actor():
    class Plain:
        pass

    derived = ray.remote(Plain).__ray_metadata__.modified_class
    assert derived is not Plain
    assert ray_internals.class_of_actor(derived) is ray_internals.class_of_actor(Plain) is Plain


@pytest.mark.parametrize("name", ["resolved_address", "addresses_of_nodes", "cpus_of_this_machine", "job_config"])
def test_what_is_gone_is_named(name, monkeypatch):
    """As a new version of Ray would have it."""
    monkeypatch.setattr("ray.job_config.JobConfig", SimpleNamespace)
    monkeypatch.setattr(private_names, "importlib", SimpleNamespace(import_module=lambda module: SimpleNamespace()))
    function = getattr(ray_internals, name)
    with pytest.raises(MissingNameError, match=r" has no \w+, which rllib_recattn needs to "):
        function(*[[] for _ in inspect.signature(function).parameters])


def test_a_ray_that_prints_otherwise_is_warned_of(monkeypatch):
    monkeypatch.delattr("ray._private.worker.print_to_stdstream")
    with (
        pytest.warns(UntestedVersionWarning, match="has no print_to_stdstream, which rllib_recattn needs to shorten"),
        ray_internals.printing(lambda original: original),
    ):
        pass


def test_each_function_is_tried_here():
    text = Path(__file__).read_text(encoding="utf-8")
    functions = [name for name, each in vars(ray_internals).items() if inspect.isfunction(each) and name[0] != "_"]
    own = [name for name in functions if getattr(ray_internals, name).__module__ == ray_internals.__name__]
    assert not [name for name in own if not re.search(rf"\b{name}\b", text)]
