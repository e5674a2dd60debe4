import os
import socket

import pytest
import ray
from ray._private.utils import check_version_info

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.cluster import address as subject
from rllib_recattn.experiment.cluster.address import connect
from rllib_recattn.experiment.cluster.ray_session import ray_session as use_ray


@pytest.fixture
def listening():
    """The address of something that accepts connections and never answers."""
    with socket.create_server(("", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def deaf():
    """An address at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def no_init(monkeypatch):
    """Ray is never asked to connect."""

    def init(**_):
        raise AssertionError("ray.init was called")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("head", "should be HOST:PORT, such as 10.0.0.1:6379, or auto"),
        ("ray://head:10001", "should be HOST:PORT of the cluster's head; .* not through Ray Client"),
        ("head.invalid:6379", "nothing answers at head.invalid:6379: "),
    ],
)
def test_addresses_that_are_none(no_init, address, problem):
    with pytest.raises(SettingsError, match=f"^--ray-address {address}: {problem}"):
        connect(address)


def test_nothing_listens(no_init, deaf):
    with pytest.raises(SettingsError, match=r"nothing answers at .*: connection refused; should be where `ray start"):
        connect(deaf)


def test_no_cluster_on_this_machine(no_init, monkeypatch):
    monkeypatch.setattr(subject, "resolved_address", lambda address: None)
    with pytest.raises(SettingsError, match="--ray-address auto: no Ray runs on this machine; start it with"):
        connect("auto")


@pytest.mark.parametrize("token", ["none", "an empty file", "a path to nothing"])
def test_a_token_is_asked_for_and_there_is_none(no_init, listening, monkeypatch, tmp_path, token):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if token == "an empty file":
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").touch()
    if token == "a path to nothing":
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nothing"))
    with pytest.raises(SettingsError, match=r"the cluster asks for a token.*\(RAY_AUTH_MODE is token\); set RAY_AUTH_"):
        connect(listening)


def raised_by_ray(error, monkeypatch, listening):
    """What `connect` makes of an error of ray.init."""
    monkeypatch.setattr(subject, "_require_membership", lambda *_: None)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)

    def init(**_):
        raise error

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(SettingsError) as caught:
        connect(listening)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_version_of_ray(monkeypatch, listening):
    with pytest.raises(RuntimeError) as of_ray:
        check_version_info({"ray_version": "2.0.0", "python_version": "3.7.1"}, "node")
    message = raised_by_ray(of_ray.value, monkeypatch, listening)
    assert "2.0.0" in message
    assert ray.__version__ in message
    assert message.endswith("; Ray and Python should be the same on all machines")


def test_a_token_that_is_refused_late(monkeypatch, listening):
    error = ConnectionError("Failed to connect to Ray cluster")
    error.__cause__ = RuntimeError("RPC error: InvalidAuthToken: Authentication token is missing or incorrect")
    assert "the cluster asks for a token" in raised_by_ray(error, monkeypatch, listening)


def test_whatever_else_ray_says_is_handed_on_in_one_line(monkeypatch, listening):
    assert raised_by_ray(ValueError("what\n is this"), monkeypatch, listening).endswith(": what is this")


def test_standard_error_is_back_after_each_attempt(no_init, deaf, capfd):
    with pytest.raises(SettingsError):
        connect(deaf)
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_cpus_are_not_chosen_for_a_cluster(no_init):
    problem = "--ray-num-cpus 2: cannot be chosen with --ray-address auto"
    with pytest.raises(SettingsError, match=problem), use_ray(num_cpus=2, address="auto"):
        raise AssertionError


def test_a_connection_that_is_there_is_not_replaced(ray_session):
    with pytest.raises(SettingsError, match="connected to a Ray instance already"), use_ray(address="127.0.0.1:1"):
        raise AssertionError
    assert ray.is_initialized()


def test_a_traceback_inside_of_a_message_is_left_out(monkeypatch, listening):
    error = ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")
    error.__cause__ = RuntimeError(
        "Failed to connect to GCS. Last connection error: Traceback (most recent call last):\n"
        '  File "node.py", line 9\n'
        "ray.exceptions.RpcError: Timed out while waiting for GCS to become available.\n"
    )
    assert raised_by_ray(error, monkeypatch, listening) == (
        f"--ray-address {listening}: Failed to connect to Ray cluster at 10.0.0.1:6379 Failed to connect to GCS. Last "
        "connection error: ray.exceptions.RpcError: Timed out while waiting for GCS to become available."
    )
