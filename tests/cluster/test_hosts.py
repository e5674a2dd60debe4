"""Two machines that take their own names for loopback addresses, and of which one lacks this package."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.hosts import INTERFACE, PORT, Host, Hosts, cluster_hosts, why_not

pytestmark = pytest.mark.slow

RLLIB = (sys.executable, "-c", "from rllib_recattn.cli.main import main; main(prog_name='rllib')")
# A runner and a learner on each host.
EXPERIMENT = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {{training_iteration: 2}}
  model: {{name: agalite, max_seq_len: 8, d_model: 16, n_layers: 1, n_heads: 2, d_head: 4}}
  config:
    env_config: {{corridor_length: 3, max_episode_steps: 12}}
    num_env_runners: 2
    custom_resources_per_env_runner: {{runner: 1}}
    num_learners: 2
    custom_resources_per_learner: {{learner: 1}}
    num_envs_per_env_runner: 2
    train_batch_size_per_learner: 64
    minibatch_size: 32
    num_epochs: 1
    seed: 0
  storage_path: {storage_path}
"""
RAY_OPTIONS = ("--num-cpus=3", '--resources={"runner": 1, "learner": 1}')


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("hosts")
    (directory / "only-here").mkdir()
    with cluster_hosts(directory) as hosts:
        hosts.add(*RAY_OPTIONS, loopback=True)
        hosts.add(*RAY_OPTIONS, with_package=False, loopback=True, hidden=[directory / "only-here"])
        yield hosts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "x.yaml").write_text(EXPERIMENT.format(storage_path=tmp_path / "results"))
    return tmp_path / "x.yaml"


def results(directory: Path) -> list[dict[str, object]]:
    lines = next(directory.glob("maze-*/*/result.json")).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_training_on_both(two_hosts, file):
    head = two_hosts.head
    done = head.run(*RLLIB, "train", "file", file, "--ray-address", two_hosts.address, check=False)
    assert done.returncode == 0, done.stderr
    output = " ".join(done.stdout.split())
    assert "10.77.0.2 (host2) has no rllib_recattn: the driver's is sent along" in output
    # Without it they wait for each other until the end of the time limit.
    both = "10.77.0.1 (host1), 10.77.0.2 (host2)"
    assert f"GLOO_SOCKET_IFNAME={INTERFACE} is set for learners: {both} would not be reachable else" in output
    last = results(file.parent / "results")[-1]
    assert last["training_iteration"] == 2
    assert last["fault_tolerance"]["num_healthy_workers"] == 2
    assert head.run(*RLLIB, "doctor", "--ray-address", "auto").returncode == 0, "the cluster has not gone on"


def test_without_sending_the_package_the_node_is_named(two_hosts, file):
    options = ("--ray-address", two_hosts.address, "--no-ship-package")
    done = two_hosts.head.run(*RLLIB, "train", "file", file, *options, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"--ray-address {two_hosts.address}: 10.77.0.2 (host2) has no rllib_recattn: install it" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (file.parent / "results").exists()


def test_what_the_doctor_finds(two_hosts, file):
    head = two_hosts.head
    file.write_text(file.read_text().replace("num_env_runners: 2", "num_env_runners: 5").replace("{runner: 1}", "{}"))
    hidden = Path(head.environment["HOME"]).with_name("only-here")
    options = ("--ray-address", "auto", "--json", "--storage-path", hidden)
    done = head.run(*RLLIB, "doctor", file, *options, check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert not found["ready"]
    one, two = found["nodes"]
    assert (one["address"], one["facts"]["hostname"], one["resources"]["CPU"]) == ("10.77.0.1", "host1", 3)
    assert (two["address"], two["facts"]["hostname"], two["facts"]["package_version"]) == ("10.77.0.2", "host2", None)
    assert two["facts"]["interface"] == INTERFACE
    texts = {level: [] for level in ("problem", "note", "ok")}
    for finding in found["findings"]:
        texts[finding["level"]].append(finding["text"])
    assert texts["problem"] == [
        f"storage_path on 10.77.0.2 (host2): {hidden} is not the directory that the other nodes see; should be a "
        "directory that all nodes share, as by NFS",
        "the experiment needs 8 CPUs (8 × 1), Ray has 6 (3 on 10.77.0.1, 3 on 10.77.0.2): lower num_env_runners (5) or "
        "num_learners (2)",
    ]
    assert "the cluster asks for a token, and this process has it" in texts["ok"]
    assert list(hidden.iterdir()) == []


def connecting(host: Host, address: str, **environment: str | None) -> tuple[int, str]:
    """Ask for the doctor with other environment variables; return its exit code and the first problem."""
    unset = [option for name, value in environment.items() if value is None for option in ("-u", name)]
    values = [f"{name}={value}" for name, value in environment.items() if value is not None]
    done = host.run("env", *unset, *values, *RLLIB, "doctor", "--json", "--ray-address", address, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)["findings"][0]["text"]


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({"RAY_AUTH_TOKEN": "0" * 32}, "token"),
        ({"RAY_AUTH_TOKEN": None, "RAY_AUTH_MODE": None}, "not set"),
        ({"RAY_AUTH_TOKEN": None}, "token"),
    ],
)
def test_a_wrong_token_and_none(two_hosts, environment, mode):
    code, problem = connecting(two_hosts.head, two_hosts.address, **environment)
    assert code == 1
    assert problem.startswith(f"--ray-address {two_hosts.address}: the cluster asks for a token, and the one here is")
    assert f"(RAY_AUTH_MODE is {mode})" in problem


def test_a_machine_outside_of_the_cluster(two_hosts):
    outside = two_hosts.add(start=False)
    code, problem = connecting(outside, two_hosts.address)
    assert code == 1
    assert "this machine is not a node of the cluster (10.77.0.1, 10.77.0.2): run the command on one" in problem
    code, problem = connecting(outside, "auto")
    assert code == 1
    assert problem.startswith("--ray-address auto: no Ray runs on this machine")
    code, problem = connecting(outside, f"10.77.0.1:{PORT + 1}")
    assert code == 1
    assert f"nothing answers at 10.77.0.1:{PORT + 1}: connection refused" in problem
