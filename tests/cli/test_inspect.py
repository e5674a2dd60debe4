"""``rllib inspect``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from rllib_recattn.cli.main import main


def inspect(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_writes_a_picture_a_video_and_the_numbers(finished_run, tmp_path):
    picture, video, data = tmp_path / "memory.png", tmp_path / "memory.gif", tmp_path / "memory.json"
    run = inspect(
        finished_run.result.run_dir, "--seed", 5, "--stochastic", "--of", "value", "--replacements", "2",
        "-o", picture, "--gif", video, "--json", data,
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    assert [line for line in run.output.splitlines() if line.startswith("Wrote")] == [
        f"Wrote {picture}",
        f"Wrote {video}",
        f"Wrote {data}",
    ]
    assert "Of all past observations that of step " in run.output.splitlines()[0]
    assert "(difference of values)" in run.output.splitlines()[0]
    numbers = json.loads(data.read_text())
    assert (numbers["seed"], numbers["explore"], numbers["sensitivity"]["of"]) == (5, True, "value")
    with Image.open(picture) as image:
        assert image.width == 1200
        pixels = np.asarray(image.convert("RGB"))
        # Vermilion, of which only the cue's curve and line are.
        assert (np.abs(pixels.astype(int) - (0xD5, 0x5E, 0x00)).sum(-1) < 10).sum() > 200
    with Image.open(video) as frames:
        assert frames.n_frames == numbers["length"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "{tmp}/memory.gif"], "should end in .png or .svg or .pdf"),
        (["-o", "{tmp}/missing/memory.png"], "there is no directory"),
        (["--gif", "{tmp}/memory.avi"], "should end with .gif or .mp4"),
        (["--json", "{tmp}/memory.txt"], "should end in .json"),
        (["--of", "state"], "'state' is not one of 'action', 'value'"),
        (["--cue-step", "-1"], "-1 is not in the range x>=0"),
        (["--replace-with", "noise"], "'noise' is not one of 'episodes', 'zeros'"),
        (["--replacements", "0"], "0 is not in the range x>=1"),
        (["--episodes", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_options_end_with_exit_code_2_before_anything_is_played(
    finished_run, tmp_path, monkeypatch, arguments, message
):
    def fail(*args, **kwargs):
        raise AssertionError("an episode was played")

    monkeypatch.setattr("rllib_recattn.experiment.inspection.inspect.inspect_checkpoint", fail)
    run = inspect(finished_run.result.checkpoint, *(argument.format(tmp=tmp_path) for argument in arguments))
    assert run.exit_code == 2
    assert message in run.output
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_checkpoint_ends_with_exit_code_2(tmp_path):
    run = inspect(tmp_path)
    assert run.exit_code == 2
    assert "should be a checkpoint's directory" in run.output


def test_too_few_episodes_for_a_probe_end_with_exit_code_2(finished_run, tmp_path):
    run = inspect(finished_run.result.checkpoint, "--episodes", 3, "-o", tmp_path / "memory.png")
    assert run.exit_code == 2
    assert "a probe needs" in run.output
