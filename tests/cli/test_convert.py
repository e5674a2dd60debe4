"""``rllib convert``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main

OLD = """
agent:
  run: PPO
  env: CartPole-v0
  stop: {episode_reward_mean: 9}
  config:
    observation_filter: MeanStdFilter
    exploration_config: {type: EpsilonGreedy}
    sgd_minibatch_size: MINIBATCH
    model: {use_lstm: true, lstm_cell_size: 8, fcnet_hiddens: [], vf_share_layers: true}
"""
NEW = """\
# Made by `rllib convert` from old.yaml, for RLlib's new API stack.
# Not carried:
# - config.exploration_config: {'type': 'EpsilonGreedy'}: policies explore by sampling from their action distributions
agent:
  run: PPO
  env: CartPole-v1
  stop:
    env_runners/episode_return_mean: 9
  model:
    name: lstm
    max_seq_len: 20
    d_model: 8
    encoder:
      type: auto
      widths: []
  config:
    observation_filter: MeanStdFilter
    minibatch_size: 64
"""


@pytest.fixture
def old(tmp_path):
    """An old file."""
    file = tmp_path / "old.yaml"
    file.write_text(OLD.replace("MINIBATCH", "64"))
    return file


def rllib(*args):
    return CliRunner().invoke(main, ["convert", *map(str, args)])


def test_to_the_screen(old):
    result = rllib(old)
    assert result.exit_code == 0, result.output
    assert result.stdout == NEW
    assert result.stderr.startswith("Not carried: config.exploration_config: {'type': 'EpsilonGreedy'}: ")
    assert len(result.stderr.splitlines()) == 1


def test_to_a_file_that_trains(old, tmp_path):
    new = tmp_path / "new.yaml"
    assert rllib(old, "-o", new).exit_code == 0
    assert new.read_text() == NEW
    dry_run = CliRunner().invoke(main, ["train", "file", str(new), "--dry-run"])
    assert dry_run.exit_code == 0, dry_run.output
    assert "Note" not in dry_run.stderr
    # Its own output says the same again.
    again = rllib(new)
    assert again.stdout.split("agent:")[1] == NEW.split("agent:")[1]
    assert again.stderr == ""


def test_nothing_is_written_over(old, tmp_path):
    new = tmp_path / "new.yaml"
    new.write_text("mine")
    result = rllib(old, "-o", new)
    assert result.exit_code == 2
    assert "there is such a file already; write over it with --force" in result.stderr
    assert new.read_text() == "mine"
    assert rllib(old, "-o", new, "--force").exit_code == 0
    assert new.read_text() == NEW


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("no/new.yaml", "there is no directory"),
        (".", "should be a file, but is a directory"),
        ("old.yaml", "should be another file than"),
    ],
)
def test_where_it_cannot_be_written(old, tmp_path, out, message):
    result = rllib(old, "-o", tmp_path / out, "--force")
    assert result.exit_code == 2
    assert message in result.stderr
    assert old.read_text() == OLD.replace("MINIBATCH", "64")


def test_what_needs_changes_is_written_and_says_so(old, tmp_path):
    old.write_text(OLD.replace("MINIBATCH", "10"))
    new = tmp_path / "new.yaml"
    result = rllib(old, "-o", new)
    assert result.exit_code == 2
    assert f"{new} needs changes before it runs:\n{new}: agent.config: minibatch_size = 10" in result.stderr
    assert new.exists()


def test_a_file_that_is_no_experiment(tmp_path):
    result = rllib(tmp_path / "missing.yaml")
    assert result.exit_code == 2
    assert "there is no such file" in result.stderr
