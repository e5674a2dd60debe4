"""``rllib validate``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import ray
from click.testing import CliRunner

from rllib_recattn.cli.main import main

GOOD = """maze:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 1}
  model: {name: gru, d_model: 8, max_seq_len: 8}
  config: {env_config: {corridor_length: 5}, lr: {loguniform: [1e-5, 1e-3]}}
"""
BAD = """maze:
  run: PPO
  env: CartPole-v9
  stop: {training_iterations: 1}
  model: {name: gru, d_modl: 8}
  config: {lrr: 3, gamma: 3, num_sgd_iter: two}
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    (tmp_path / "misfit.yaml").write_text(GOOD.replace("gru", "{choice: [gru, lstmm]}"))
    (tmp_path / "rllib.yaml").write_text(GOOD.replace("lr:", "minibatch_size: 4, lr:"))
    return tmp_path


def validate(*arguments):
    return CliRunner().invoke(main, ["validate", *arguments])


def test_all_problems_of_all_files_are_listed(directory):
    ray_was_running = ray.is_initialized()
    result = validate("bad.yaml", "missing.yaml", "good.yaml", "misfit.yaml", "rllib.yaml")
    assert result.exit_code == 2
    assert result.stdout == "good.yaml: fine\n5 files, 4 with problems\n"
    lines = result.stderr.splitlines()
    expected = [
        "bad.yaml: maze.model: unknown setting 'd_modl': did you mean 'd_model'?",
        "bad.yaml: maze.stop: unknown metric 'training_iterations': did you mean 'training_iteration'?",
        "bad.yaml: maze.env: unknown environment 'CartPole-v9'",
        "bad.yaml: maze.config: unknown setting 'lrr': did you mean 'lr'?",
        "bad.yaml: maze.config: gamma = 3: should be between 0 and 1",
        "bad.yaml: maze.config: num_epochs = 'two': should be a whole number",
        "missing.yaml: there is no such file",
        "misfit.yaml: maze.model: unknown model 'lstmm'",
        "rllib.yaml: maze.config: minibatch_size = 4",
    ]
    assert len(lines) == len(expected), lines
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True)), lines
    assert ray.is_initialized() == ray_was_running
    assert len(list(directory.iterdir())) == 4


def test_a_good_file_ends_with_0(directory):
    result = validate("good.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "good.yaml: fine\n", "")


def test_a_machine_without_a_screen_is_not_warned_of(directory):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MUJOCO_GL")}
    command = [sys.executable, "-c", "from rllib_recattn.cli.main import main; main()", "validate", "good.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "good.yaml: fine\n", "")


@pytest.mark.parametrize(
    ("lr", "problem"),
    [
        ("{choice: []}", "maze.config.lr.choice = []: should be a list of the values to choose from"),
        ("[[0, {uniform: [2, 1]}], [9, 0]]", "maze.config.lr[0][1].uniform: lower = 2: should be less than upper = 1"),
        ("{log_uniform: [1, 2]}", "a number or a list [[step, value], …], or a search: did you mean 'loguniform'?"),
    ],
)
def test_a_wrong_search_domain_is_one_problem(directory, lr, problem):
    (directory / "good.yaml").write_text(GOOD.replace("lr: {loguniform: [1e-5, 1e-3]}", f"lr: {lr}"))
    result = validate("good.yaml")
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


def test_quick_needs_no_rllib(directory):
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('ray.rllib' in sys.modules))\n"
        "from rllib_recattn.cli.main import main\n"
        "main(['validate', '--quick', 'good.yaml', 'bad.yaml'])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert result.stdout == "good.yaml: fine\n2 files, 1 with problems\nFalse\n"
    assert result.stderr.count("bad.yaml: maze.") == 3


def test_what_it_begins_with_is_compared(finished_run, directory):
    text = GOOD.replace("  stop: {training_iteration: 1}", "  stop: {training_iteration: 9}")
    (directory / "other.yaml").write_text(text + f"  restore: {finished_run.result.checkpoint}\n")
    result = validate("other.yaml")
    assert result.exit_code == 2
    assert "model.name is 'agalite' in the checkpoint, 'gru' here" in result.stderr


def test_the_directory_for_results_is_tried_and_left_as_it_was(directory):
    (directory / "kernel.yaml").write_text(GOOD + "  storage_path: /proc/results\n")  # in which even root makes none
    (directory / "both.yaml").write_text(GOOD.replace("lr:", "gamma: 3, lr:") + "  storage_path: /proc/results\n")
    (directory / "new.yaml").write_text(GOOD + "  storage_path: new/results\n")
    result = validate("kernel.yaml", "both.yaml", "new.yaml")
    assert result.exit_code == 2
    storage = "maze.storage_path = '/proc/results': cannot be written to: "
    starts = (f"kernel.yaml: {storage}", "both.yaml: maze.config: gamma = 3: ", f"both.yaml: {storage}")
    lines = result.stderr.splitlines()
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert result.stdout.startswith("new.yaml: fine\n")
    assert not (directory / "new").exists()
