"""Command lines of older versions of RLlib."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from rllib_recattn.experiment.definition.yaml_file import parse_yaml

CONTENT = """maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: gru, d_model: 8, max_seq_len: 8}
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(CONTENT)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-f", "x.yaml", "--dry-run"],
        ["--config-file=x.yaml", "--dry-run"],
        ["--dry-run", "-f", "x.yaml", "--torch"],
        ["-f", "x.yaml", "--framework", "torch", "--dry-run", "-vv"],
        ["file", "x.yaml", "--framework=torch", "--dry-run"],
    ],
)
def test_old_ways_to_name_the_file(directory, arguments):
    result = run("train", *arguments)
    assert result.exit_code == 0, result.output
    assert parse_yaml(result.stdout, "stdout") == parse_yaml(run("train", "file", "x.yaml", "--dry-run").stdout, "x")


def test_local_dir_is_storage_path(directory):
    result = run("train", "-f", "x.yaml", "--local-dir", "elsewhere", "--dry-run")
    assert parse_yaml(result.stdout, "stdout")["maze"]["storage_path"] == str(directory / "elsewhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-f", "x.yaml", "--local-mode"], "--local-mode: there is no such option any more: num_env_runners: 0"),
        (["file", "x.yaml", "--local-mode"], "--local-mode: there is no such option any more"),
        (["-f", "x.yaml", "--framework", "tf2"], "--framework tf2: RLlib trains with torch only"),
        (["-f", "x.yaml", "--eager"], "PyTorch only"),
        (["-f", "x.yaml", "--ray-num-gpus=1"], "--ray-num-gpus: there is no such option any more"),
        (["-f"], "-f: should be followed by a file"),
        (["-f", "missing.yaml"], "missing.yaml: there is no such file"),
        (["x.yaml"], "did you mean `main train file x.yaml`?"),
    ],
)
def test_what_to_type_instead(directory, arguments, message):
    result = run("train", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_an_experiment_without_a_file_is_printed_as_one(directory):
    result = run(
        *("train", "--run", "PPO", "--env", "CartPole-v1", "--stop", '{"training_iteration": 3}'),
        *("--config", '{"lr": 1e-3, "num_workers": 0}', "--checkpoint-freq", "2", "--num-samples=2"),
    )
    assert result.exit_code == 2
    assert "type `rllib train file cartpole-v1-ppo.yaml`" in result.stderr
    (directory / "cartpole-v1-ppo.yaml").write_text(result.stdout)
    resolved = run("train", "file", "cartpole-v1-ppo.yaml", "--dry-run")
    assert resolved.exit_code == 0, resolved.output
    experiment = parse_yaml(resolved.stdout, "stdout")["cartpole-v1-ppo"]
    assert experiment["stop"] == {"training_iteration": 3}
    assert experiment["config"]["lr"] == 0.001
    assert experiment["config"]["num_env_runners"] == 0
    assert experiment["checkpoint"]["frequency"] == 2
    assert "# trials: 2" in resolved.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "PPO"], "Missing option '--env'"),
        (["--run", "PPO", "--env", "CartPole-v1"], "--stop is missing"),
        (["--run", "PPO", "--env", "CartPole-v1", "--stop", "3"], "--stop '3': should be a mapping"),
    ],
)
def test_mistakes_without_a_file(directory, arguments, message):
    result = run("train", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_evaluate_takes_what_it_knows_by_itself(finished_run):
    known = ["--algo", "PPO", "--env", "rllib_recattn/TMaze-v0"]
    assert run("evaluate", str(finished_run.result.checkpoint), "--episodes", "1", *known).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algo", "APPO"], "--algo APPO: this agent is one of PPO"),
        (["--run", "APPO"], "--algo APPO: this agent is one of PPO"),
        (["--env", "CartPole-v1"], "--env CartPole-v1: this agent is one of rllib_recattn/TMaze-v0"),
        (["--steps", "100"], "--steps: there is no such option any more: write --episodes N"),
        (["--render"], "--render: there is no such option any more: film the agent with --video"),
        (["--local-mode"], "--local-mode: there is no such option any more"),
    ],
)
def test_evaluate_says_what_to_type_instead(finished_run, arguments, message):
    result = run("evaluate", str(finished_run.result.checkpoint), *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
