"""What a sweep found: ranking, files, and the best trial as an experiment that trains."""

from __future__ import annotations

import io
import json
import shutil

import pandas
import pytest
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.figures.sweep_figure import plot_sweep
from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.reports.sweep_report import read_sweep, report_sweep
from tests.experiment.records.run_directories import SWEEP, write_experiment, write_sweep, write_trial

SUCCESS = "env_runners/success_rate"


@pytest.fixture
def run_dir(tmp_path):
    return write_sweep(tmp_path / "run")


def test_trials_are_ranked_by_the_metric_that_the_experiment_names(run_dir):
    report = read_sweep(run_dir)
    assert report.measure == Measure(SUCCESS, "max", "last")
    assert [configuration.name[-1] for configuration in report.ranking] == ["0", "2", "3", "1"]
    assert report.best is report.ranking[0]


def test_another_metric_and_mode_can_be_asked_for(run_dir):
    report = read_sweep(run_dir, "env_runners/episode_return_mean", "min")
    assert [configuration.name[-1] for configuration in report.ranking] == ["1", "3", "2", "0"]
    lowest = read_sweep(run_dir, "env_runners/episode_return_mean", "min", "best")
    assert [configuration.name[-1] for configuration in lowest.ranking] == ["1", "0", "3", "2"]
    with pytest.raises(SettingsError, match=r"--metric 'env_runners/succes_rate': no trial reports it: .*success_rate"):
        read_sweep(run_dir, "env_runners/succes_rate")


def test_trials_without_the_metric_come_last(run_dir):
    write_trial(run_dir, 4, [float("nan")], {"model": "gru", "config.lr": 2e-3})
    report = read_sweep(run_dir)
    assert report.ranking[-1].name == "trial_00004"
    alone = read_sweep(run_dir, "env_runners/success_rate", "min")
    assert alone.ranking[-1].name == "trial_00004"


def test_the_best_trial_is_written_as_an_experiment_that_can_be_built(run_dir):
    files = {path.name: path for path in read_sweep(run_dir).write()}
    text = files["best.yaml"].read_text()
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert "trial_00000: the last env_runners/success_rate = 0.96" in comments[0]
    assert "# config.lr = 0.0003" in comments
    best = load_experiment(files["best.yaml"])
    assert (best.name, best.is_sweep) == ("memory-best", False)
    assert best.model.name == "agalite"
    assert best.model.settings == {"d_model": 16}
    assert best.config["lr"] == 3e-4
    assert best.stop == {SUCCESS: 0.95, "training_iteration": 4}
    assert build_config(best).lr == 3e-4


def test_old_keys_at_the_top_level_make_no_sweep_of_the_best_one(tmp_path):
    write_experiment(
        tmp_path / "run",
        SWEEP.replace("tune: {num_samples: 2, metric:", "num_samples: 2\n  metric:").replace("rate}\n", "rate\n", 1),
    )
    write_trial(tmp_path / "run", 0, [0.5], {"model": "gru", "config.lr": 1e-3})
    read_sweep(tmp_path / "run").write()
    assert not load_experiment(tmp_path / "run" / "best.yaml").is_sweep


def test_the_seed_of_the_best_is_the_one_of_the_file(tmp_path):
    write_experiment(tmp_path / "run", SWEEP + "    seed: 7\n")
    experiment = json.loads((tmp_path / "run" / "experiment.json").read_text())
    assert "config.seed" in experiment["space"]
    write_trial(tmp_path / "run", 0, [0.5], {"model": "gru", "config.lr": 1e-3, "config.seed": 8})
    read_sweep(tmp_path / "run").write()
    assert load_experiment(tmp_path / "run" / "best.yaml").config["seed"] == 7


def test_planned_trials_that_never_began_are_counted(run_dir):
    shutil.rmtree(run_dir / "trial_00001")
    shutil.rmtree(run_dir / "trial_00002")
    console = Console(file=io.StringIO(), width=20, soft_wrap=True)
    report_sweep(console, run_dir, finished=False)
    assert "2 of 4 planned trials: 1 finished, 1 unfinished; 2 without a result" in console.file.getvalue()
    assert (run_dir / "best.yaml").read_text().startswith("# The best of 2 of 4 planned trials of memory, trial_00000")
    assert read_sweep(run_dir).data()["planned"] == 4


@pytest.mark.parametrize(
    ("rank_by", "iterations", "expected"),
    [
        ("last", [1, 2, 3], ["checkpoint {}/checkpoint_000002", "success rate 0.600 in iteration 3"]),
        ("mean_of_last_10", [3], ["checkpoint {}/checkpoint_000000", "success rate 0.600 in iteration 3"]),
        ("best", [1, 2, 3], ["checkpoint {}/checkpoint_000001", "success rate 0.900 in iteration 2"]),
        (
            "best",
            [1, 3],
            [
                "nearest checkpoint {}/checkpoint_000001",
                "success rate 0.600 in iteration 3; none was kept of iteration 2",
            ],
        ),
        (
            "last",
            [1, 2],
            [
                "nearest checkpoint {}/checkpoint_000001",
                "success rate 0.900 in iteration 2; none was kept of iteration 3",
            ],
        ),
        # As older versions wrote them.
        ("last", [None, None], ["newest checkpoint {}/checkpoint_000001", "of an unknown iteration"]),
        (
            "last",
            [None, 1],
            [
                "nearest checkpoint {}/checkpoint_000001",
                "success rate 0.400 in iteration 1; none was kept of iteration 3",
            ],
        ),
    ],
)
def test_the_checkpoint_is_named_with_its_own_value(tmp_path, monkeypatch, rank_by, iterations, expected):
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path / "run")
    trial = write_trial(tmp_path / "run", 0, [0.4, 0.9, 0.6], {"model": "gru", "config.lr": 1e-3})
    for index, iteration in enumerate(iterations):
        checkpoint = trial / f"checkpoint_{index:06d}"
        checkpoint.mkdir()
        (checkpoint / "rllib_checkpoint.json").touch()
        if iteration is not None:
            (checkpoint / "iteration").write_text(f"{iteration}\n")
    report = read_sweep(tmp_path / "run", rank_by=rank_by)
    checkpoint, value = [" ".join(line.split()) for line in report.text([]).splitlines()[-2:]]
    assert [checkpoint, value] == [expected[0].format("run/trial_00000"), f"its value {expected[1]}"]


def test_csv_and_figure_are_written_where_asked(run_dir, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    names = [path.name for path in read_sweep(run_dir).write(output)]
    assert names == ["trials.csv", "sweep.png", "best.yaml"]
    assert sorted(path.name for path in output.iterdir()) == sorted(names)
    table = pandas.read_csv(output / "trials.csv")
    assert list(table["trial"].str[-1].astype(int)) == [0, 2, 3, 1]
    assert list(table["model"]) == ["agalite", "agalite", "gru", "gru"]
    assert list(table["status"]) == ["finished", "failed", "unfinished", "stopped early"]
    with Image.open(output / "sweep.png") as picture:
        assert min(picture.size) > 600
    assert not (run_dir / "best.yaml").exists()


def test_the_table_marks_the_best_and_is_complete_in_a_file(run_dir):
    console = Console(file=io.StringIO(), width=20, soft_wrap=True)
    report_sweep(console, run_dir, finished=False)
    lines = console.file.getvalue().splitlines()
    heading = next(line for line in lines if "trial " in line)
    expected = ["trial", "model", "lr", "status", "iterations", "env", "steps", "return", "success", "elapsed"]
    assert heading.split() == expected
    (best,) = [line for line in lines if "★" in line]
    assert best.split()[1:5] == ["trial_00000", "agalite", "0.0003", "finished"]
    assert "4 trials: 1 finished, 1 failed, 1 unfinished, 1 stopped early" in console.file.getvalue()
    assert any(line.strip().startswith("rllib train file ") and line.endswith("best.yaml") for line in lines)


def test_only_a_finished_sweep_gets_a_summary(run_dir):
    console = Console(file=io.StringIO(), soft_wrap=True)
    report_sweep(console, run_dir, finished=False)
    assert not (run_dir / "summary.json").exists()
    report_sweep(console, run_dir, finished=True)
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["best"] == "trial_00000"
    assert summary["statuses"] == {"finished": 1, "failed": 1, "unfinished": 1, "stopped early": 1}
    assert summary["trials"][0]["choices"] == {"model": "agalite", "config.lr": 3e-4}
    assert summary["trials"][0]["best"] == 0.96
    assert (run_dir / "summary.txt").read_text() in console.file.getvalue()


def test_a_trial_that_failed_at_once_is_in_the_table(run_dir):
    write_trial(run_dir, 4, [], {"model": "gru", "config.lr": 9e-3}, done=False, error="Failure # 1\nboom\n")
    console = Console(file=io.StringIO(), width=20, soft_wrap=True)
    report_sweep(console, run_dir, finished=False)
    assert "5 trials: 1 finished, 2 failed, 1 unfinished, 1 stopped early" in console.file.getvalue()
    (line,) = [line for line in console.file.getvalue().splitlines() if "trial_00004" in line]
    assert line.split()[:4] == ["trial_00004", "gru", "0.009", "failed"]
    assert list(pandas.read_csv(run_dir / "trials.csv")["status"])[-1] == "failed"


def test_without_any_value_of_the_metric_nothing_is_best(tmp_path):
    write_experiment(tmp_path / "run")
    write_trial(tmp_path / "run", 0, [float("nan")], {"model": "gru", "config.lr": 1e-3})
    report = read_sweep(tmp_path / "run")
    files = report.write()
    assert [path.name for path in files] == ["trials.csv"]
    assert report.text(files).startswith("No trial has reported env_runners/success_rate yet.")
    assert report.data()["best"] is None


def test_of_a_metric_that_never_came_it_is_said_what_to_look_at(tmp_path):
    run_dir = tmp_path / "run"
    write_experiment(run_dir, SWEEP.replace("metric: env_runners/success_rate", "metric: env_runners/episode_len_mean"))
    for index in range(4):
        write_trial(run_dir, index, [0.5] * 4, {"model": "gru", "config.lr": 1e-3})
    report = read_sweep(run_dir)
    text = report.text(report.write())
    assert text.startswith("No trial has ever reported env_runners/episode_len_mean.\n")
    assert "tune.metric" in text
    assert "--metric, e.g. env_runners/episode_return_mean" in text


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "there is no such directory"),
        (lambda path: path.mkdir(), r"should be the directory of a run of `rllib train`, with experiment.json in it"),
        (lambda path: write_trial(path, 0, [0.5]), r"should be the directory of a run of `rllib train`"),
        (write_experiment, "no trial has a result yet"),
        (lambda path: (write_experiment(path), write_trial(path, 0, [], tail='{"train')), "no trial has a result yet"),
    ],
)
def test_other_directories_are_refused(tmp_path, make, problem):
    make(tmp_path / "run")
    with pytest.raises(SettingsError, match=problem):
        read_sweep(tmp_path / "run")


def test_the_figure_has_a_panel_per_choice_and_axes_that_fit(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    write_experiment(tmp_path / "run")
    for index in range(6):
        choices = {"model": ("gru", "agalite")[index % 2], "config.lr": 10.0 ** -(index / 2 + 1)}
        write_trial(tmp_path / "run", index, [0.1, 0.1 * index], choices, done=index != 5)
    report = read_sweep(tmp_path / "run")
    plot_sweep(report.ranking, tmp_path / "x.png")
    curves, models, rates = saved[0].axes
    assert curves.get_xlabel() == "environment steps"
    assert [tick.get_text() for tick in models.get_xticklabels()] == ["agalite", "gru"]
    assert (models.get_xlabel(), rates.get_xlabel()) == ("model", "lr")
    assert rates.get_xscale() == "log"
    stars = [line for line in rates.lines if line.get_marker() == "*"]
    assert [line.get_xydata().tolist() for line in stars] == [[[pytest.approx(10**-3.5), 0.5]]]
    peaks = [line for line in curves.lines if line.get_marker() == "*"]
    assert [line.get_xydata().tolist() for line in peaks] == [[[200, 0.5]]]
    legend = [text.get_text() for text in curves.get_legend().get_texts()]
    assert legend == ["best: trial_00005 (agalite, 0.0003162)", "model = agalite", "model = gru"]
