"""``rllib plot`` and ``rllib sweep-report``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from rllib_recattn.cli.main import main
from tests.experiment.records.run_directories import write_sweep, write_trial


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "memory-1")
    return tmp_path / "memory-1"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_learning_curves_are_drawn(run_dir):
    result = run("plot", run_dir, "--group-by", "model")
    assert result.exit_code == 0
    assert result.output.splitlines() == ["agalite: 2 trials", "gru: 2 trials", "Wrote learning_curves.png"]
    assert (run_dir.parent / "learning_curves.png").stat().st_size > 10_000


def test_a_run_that_is_named_twice_counts_once(run_dir):
    link = run_dir.parent / "memory"
    link.symlink_to(run_dir)
    result = run("plot", run_dir, link, run_dir / "trial_00000", "--group-by", "model", "-o", "x.svg", "--x", "time")
    assert result.output.splitlines() == ["agalite: 2 trials", "gru: 2 trials", "Wrote x.svg"]
    assert "seconds of training" in (run_dir.parent / "x.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing"], "'missing': there is no such directory; should be the directory of a run or of a trial"),
        (["."], "'.': there are no results in here; should be the directory of a run or of a trial"),
        (["memory-1", "-o", "x.jpeg2"], "--output 'x.jpeg2': should end in .png, .svg or .pdf"),
        (["memory-1", "-o", "no/x.png"], "there is no directory"),
        (["memory-1", "-o", "dir.png"], "should be a file, but is a directory"),
        (["memory-1", "--metric", "env_runners/sucess_rate"], "no trial reports it: did you mean"),
        (["memory-1", "--group-by", "config.l"], "no trial has this setting: did you mean 'config.lr'?"),
        (["silent"], "silent: no episode has ended yet: there is nothing to draw"),
    ],
)
def test_wrong_arguments_end_with_code_2(run_dir, arguments, problem):
    (run_dir.parent / "dir.png").mkdir()
    write_trial(run_dir.parent / "silent", 0, [float("nan")])
    result = run("plot", *arguments)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert problem in result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["plot", "memory-1", "-o", "full.png"], "--output 'full.png': cannot be written to: no space left on device"),
        (["sweep-report", "memory-1"], "DIR 'memory-1': cannot be written to: no space left on device"),
        (["sweep-report", "memory-1", "--output", "."], "--output '.': cannot be written to: no space left on device"),
    ],
)
def test_what_cannot_be_written_is_said(run_dir, arguments, problem):
    for name in ("full.png", "trials.csv", "memory-1/trials.csv"):
        (run_dir.parent / name).symlink_to("/dev/full")
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (2, f"Error: {problem}\n")


def test_a_file_that_may_not_be_written_to_is_refused_before_anything_is_read(run_dir, monkeypatch):
    monkeypatch.setattr("os.access", lambda *arguments, **options: False)
    result = run("plot", "missing", "-o", "x.png")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --output 'x.png': should be a file that you may write to\n",
    )


def test_a_sweep_is_reported(run_dir):
    output = run_dir.parent / "out"
    output.mkdir()
    result = run("sweep-report", run_dir, "--output", output)
    assert result.exit_code == 0
    assert "Best is trial_00000: last success rate 0.960" in result.output
    assert sorted(path.name for path in output.iterdir()) == ["best.yaml", "sweep.png", "trials.csv"]


def test_a_sweep_is_reported_by_another_metric(run_dir):
    result = run("sweep-report", run_dir, "--metric", "env_runners/episode_return_mean", "--mode", "min")
    assert "Best is trial_00001: last mean episode return 3.000" in result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing"], "'missing': there is no such directory"),
        (["."], "should be the directory of a run of `rllib train`"),
        (["memory-1", "--output", "no"], "--output 'no': there is no such directory"),
        (["memory-1", "--metric", "x"], "--metric 'x': no trial reports it: common ones are"),
    ],
)
def test_wrong_arguments_of_a_report_end_with_code_2(run_dir, arguments, problem):
    result = run("sweep-report", *arguments)
    assert (result.exit_code, problem in result.output) == (2, True)


def test_a_sweep_is_reported_by_another_value(run_dir):
    result = run("sweep-report", run_dir, "--metric", "env_runners/success_rate", "--mode", "min", "--rank-by", "best")
    assert "Best is trial_00001: best success rate 0.300" in result.output
    refused = run("sweep-report", run_dir, "--rank-by", "newest")
    assert "'last', 'mean_of_last_10', 'best'" in refused.stderr
