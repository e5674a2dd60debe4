import socket
import sys

import pytest

import rllib_recattn
from rllib_recattn import errors
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.cluster.nodes import DISTRIBUTIONS, PACKAGE, driver_facts, this_machine
from rllib_recattn.experiment.cluster.probe import interface_with, node_facts, package_digest, try_storage
from rllib_recattn.experiment.cluster.storage import trial_directory


def test_what_this_process_tells():
    facts = driver_facts()
    assert facts.package_version == rllib_recattn.__version__
    assert facts.hostname == socket.gethostname()
    assert set(facts.versions) == set(DISTRIBUTIONS)
    assert all(facts.versions.values())
    assert this_machine().resources["CPU"] >= 1


def test_a_digest_depends_on_each_source_file_and_its_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    digests = set()
    for number, (name, content) in enumerate([("a", "1"), ("a", "2"), ("b", "1")]):
        package = tmp_path / f"p{number}"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / f"{name}.py").write_text(content)
        (package / "__pycache__").mkdir()
        (package / "__pycache__" / "junk.pyc").write_text(str(number))
        digests.add(package_digest(package.name))
    assert len(digests) == 3
    assert package_digest("p0") == package_digest("p0")


@pytest.mark.parametrize("state", ["missing", "an empty directory"])
def test_a_package_that_is_not_there(tmp_path, monkeypatch, state):
    monkeypatch.syspath_prepend(tmp_path)
    if state != "missing":
        (tmp_path / "nowhere_to_be_found").mkdir()
    facts = node_facts("nowhere_to_be_found", ["no-such-distribution"], None, None)
    assert facts["package_digest"] is None
    assert facts["package_version"] is None
    assert facts["versions"] == {"no-such-distribution": None}


@pytest.mark.skipif(sys.platform != "linux", reason="interfaces are asked for on Linux only")
def test_the_interface_of_an_address():
    assert interface_with("127.0.0.1") == "lo"
    assert interface_with("203.0.113.7") is None


def test_storage_is_tried_and_left_as_it_was(tmp_path):
    storage_path = tmp_path / "results" / "deep"
    with trial_directory(storage_path) as directory:
        assert try_storage(str(directory), "node") is None
        assert (directory / "node").read_text() == "node"
    assert list(tmp_path.iterdir()) == []
    storage_path.mkdir(parents=True)
    with trial_directory(storage_path):
        pass
    assert list(storage_path.iterdir()) == []


def test_storage_that_the_driver_does_not_share(tmp_path):
    error = try_storage(str(tmp_path / "elsewhere" / ".trial"), "node")
    assert error == f"{tmp_path / 'elsewhere'} is not the directory that the other nodes see"


def test_storage_that_cannot_be_written_to(tmp_path):
    with trial_directory(tmp_path) as directory:
        (directory / "node").mkdir()
        assert try_storage(str(directory), "node") == f"{tmp_path} cannot be written to: Is a directory"


def test_storage_that_the_driver_cannot_make(tmp_path):
    (tmp_path / "file").touch()
    problem = r"storage_path = '.*/file/results': cannot be written to"
    with pytest.raises(SettingsError, match=problem), trial_directory(tmp_path / "file" / "results"):
        raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_probe_needs_nothing_of_the_package(ray_session, tmp_path, monkeypatch):
    """It is sent by value: pickled, it names no module of the package, and works where there is none."""
    import subprocess

    from ray import cloudpickle

    from rllib_recattn.experiment.cluster import probe

    cloudpickle.register_pickle_by_value(probe)
    try:
        (tmp_path / "probe.pkl").write_bytes(cloudpickle.dumps(probe.node_facts))
    finally:
        cloudpickle.unregister_pickle_by_value(probe)
    program = (
        "import pickle, sys\n"
        "class Blocked:\n"
        f"    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {PACKAGE!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        f"facts = pickle.load(open({str(tmp_path / 'probe.pkl')!r}, 'rb'))('json', ['ray'], None, None)\n"
        "print(facts['package_digest'] is not None, facts['versions']['ray'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == f"True {driver_facts().versions['ray']}\n", done.stderr
    assert errors.__name__.startswith(PACKAGE)
