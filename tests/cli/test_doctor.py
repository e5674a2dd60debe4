import json
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.errors import SettingsError

CONTENT = """
maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: gru, max_seq_len: 8}
  config: {num_env_runners: 0}
  storage_path: results
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "x.yaml").write_text(CONTENT)
    return tmp_path


def doctor(*arguments, **options):
    return CliRunner().invoke(main, ["doctor", *arguments], **options)


def test_this_machine_and_a_file(directory):
    result = doctor("x.yaml")
    assert result.exit_code == 0, result.output
    assert f"✓ storage_path {directory / 'results'} is writable" in result.stdout
    assert "✓ the nodes can hold what the experiment asks for" in result.stdout
    assert "✓ the environment rllib_recattn/TMaze-v0 can be made" in result.stdout
    assert "this machine" in result.stdout
    headings = result.stdout.splitlines()[1].split()
    assert headings == ["node", "host", "CPUs", "GPUs", "Python", "ray", "torch", "rllib_recattn"]
    assert [path.name for path in directory.iterdir()] == ["x.yaml"]


def test_as_json(directory):
    result = doctor("--json", "--storage-path", "elsewhere")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["ready"], found["ray_address"]) == (True, None)
    (node,) = found["nodes"]
    assert node["facts"]["versions"]["ray"]
    assert any(str(directory / "elsewhere") in finding["text"] for finding in found["findings"])


def test_a_request_that_never_fits(directory):
    (directory / "x.yaml").write_text(CONTENT.replace("num_env_runners: 0", "num_env_runners: 5000"))
    result = doctor("x.yaml")
    assert result.exit_code == 1
    assert "✗ the experiment needs 5001 CPUs (5001 × 1), Ray has " in result.stdout
    assert "lower num_env_runners (5000)" in " ".join(result.stdout.split())


def test_all_problems_are_found_at_once(directory, monkeypatch):
    @contextmanager
    def full(storage_path):
        raise SettingsError(f"storage_path = '{storage_path.name}': cannot be written to: No space left on device")
        yield

    def locked(env, env_config):
        raise RuntimeError("no door")

    monkeypatch.setattr("rllib_recattn.experiment.cluster.prepare.trial_directory", full)
    monkeypatch.setattr("rllib_recattn.experiment.cluster.prepare.load_and_make", locked)
    (directory / "x.yaml").write_text(CONTENT.replace("num_env_runners: 0", "num_env_runners: 5000"))
    result = doctor("x.yaml")
    assert result.exit_code == 1
    problems = [line[2:] for line in result.stdout.splitlines() if line.startswith("✗ ")]
    assert [problem.partition(":")[0].partition(" CPUs")[0] for problem in problems] == [
        "storage_path = 'results'",
        "the experiment needs 5001",
        "the environment rllib_recattn/TMaze-v0 cannot be made",
    ]
    assert "RuntimeError: no door" in problems[2]
    assert "this machine" in result.stdout


def test_a_wrong_file_is_refused_as_everywhere(directory):
    (directory / "x.yaml").write_text(CONTENT.replace("PPO", "PPPO"))
    result = doctor("x.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: x.yaml: maze.run: unknown algorithm 'PPPO'")
    assert doctor("missing.yaml").exit_code == 2


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_cluster_that_cannot_be_reached(directory, monkeypatch, way):
    def refuse(address, *_, **__):
        raise SettingsError(f"--ray-address {address}: nobody there")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("rllib_recattn.experiment.cluster.ray_session.connect", refuse)
    if way == "option":
        result = doctor("--ray-address", "head:1", "--json")
    else:
        result = doctor("--json", env={"RAY_ADDRESS": "head:1"})
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["ready"], found["ray_address"]) == (False, "head:1")
    assert found["findings"] == [{"level": "problem", "text": "--ray-address head:1: nobody there"}]


def test_the_address_local_means_this_machine(directory):
    assert json.loads(doctor("--json", env={"RAY_ADDRESS": "local"}).stdout)["ray_address"] is None
