"""``rllib evaluate``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from rllib_recattn.cli.main import main


def evaluate(*arguments):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_prints_a_table_and_writes_json_and_gif(finished_run, tmp_path):
    out, video = tmp_path / "result.json", tmp_path / "episodes.gif"
    run = evaluate(
        finished_run.result.run_dir,
        *("--episodes", 5, "--stochastic", "--seed", 7),
        *("--out", out, "--video", video, "--video-episodes", 2),
    )
    assert run.exit_code == 0, run.output
    assert "rllib_recattn/TMaze-v0: 5 episodes, sampled actions" in run.output
    data = json.loads(out.read_text())
    assert data["env_config"] == {"corridor_length": 3, "max_episode_steps": 12}
    assert data["explore"] is True
    assert data["checkpoint"] == str(finished_run.result.checkpoint.resolve())
    assert [episode["seed"] for episode in data["episodes"]] == [7, 8, 9, 10, 11]
    mean = sum(episode["episode_return"] for episode in data["episodes"]) / 5
    assert data["episode_return"]["mean"] == pytest.approx(mean)
    rows = {cells[1].strip(): cells for line in run.output.splitlines() if len(cells := line.split("│")) > 3}
    assert rows["return"][2].strip() == f"{mean:.2f}"
    assert rows["success rate"][3].strip().startswith(f"{data['success_rate']['low']:.3f} …")
    with Image.open(video) as frames:
        assert frames.n_frames == sum(episode["length"] + 1 for episode in data["episodes"][:2])


def test_one_greedy_episode_has_no_interval(finished_run):
    run = evaluate(finished_run.result.checkpoint, "--episodes", 1)
    assert run.exit_code == 0, run.output
    assert "1 episode, greedy actions" in run.output
    assert "–" in run.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--video", "{tmp}/episodes.avi"], "should end with .gif or .mp4"),
        (["--video", "{tmp}/missing/episodes.gif"], "there is no directory"),
        (["--out", "{tmp}/missing/result.json"], "there is no directory"),
        (["--out", "{tmp}"], "should be a file, but is a directory"),
        (["--video", "{tmp}"], "should be a file, but is a directory"),
        (["--episodes", "0"], "0 is not in the range x>=1"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
    ],
)
def test_wrong_options_end_with_exit_code_2_before_anything_is_played(
    finished_run, tmp_path, monkeypatch, arguments, message
):
    def fail(*args, **kwargs):
        raise AssertionError("an episode was played")

    monkeypatch.setattr("rllib_recattn.experiment.evaluation.evaluate.evaluate_checkpoint", fail)
    run = evaluate(finished_run.result.checkpoint, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert run.exit_code == 2
    assert message in run.output
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_checkpoint_ends_with_exit_code_2(tmp_path):
    run = evaluate(tmp_path)
    assert run.exit_code == 2
    assert str(tmp_path) in run.output
    assert "should be a checkpoint's directory" in run.output
