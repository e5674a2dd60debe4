"""Sweeps with several seeds: trials that differ in nothing else are one configuration, compared by their mean."""

from __future__ import annotations

import io
import json

import pandas
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.reports.sweep_report import read_sweep, report_sweep
from rllib_recattn.experiment.reports.trial_table import print_table
from tests.experiment.records.run_directories import write_experiment, write_trial

SUCCESS = "env_runners/success_rate"
SEEDS = """
memory:
  run: PPO
  env: rllib_recattn/TMaze-v0
  stop: {training_iteration: 4}
  tune: {metric: env_runners/success_rate, mode: max, scheduler: fifo}
  model: {name: gru, d_model: 16, max_seq_len: 8}
  config:
    lr: {grid_search: [0.1, 0.2]}
    seed: {grid_search: [0, 1, 2]}
    env_config: {corridor_length: 3}
"""
RISING = [0.3, 0.5, 0.7, 0.8]
LUCKY = [0.2, 1.0, 0.4, 0.3]  # the highest value of all in its second iteration, by chance


def choices(lr, seed):
    return {"config.lr": lr, "config.seed": seed}


def write_seeds(run_dir, text=SEEDS, curves=None, **options):
    """Write a sweep of two learning rates and three seeds, of which the first has one lucky iteration."""
    write_experiment(run_dir, text)
    curves = curves or {0.1: [LUCKY] * 3, 0.2: [RISING, RISING, [0.2, 0.3, 0.4, 0.5]]}
    cells = [(lr, seed, curve) for lr, of_seeds in curves.items() for seed, curve in enumerate(of_seeds)]
    for index, (lr, seed, curve) in enumerate(cells):
        write_trial(run_dir, index, curve, choices(lr, seed), **options)
    return run_dir


@pytest.fixture
def run_dir(tmp_path):
    return write_seeds(tmp_path / "run")


def printed(run_dir):
    console = Console(file=io.StringIO(), width=20, soft_wrap=True)
    report_sweep(console, run_dir, finished=True)
    return console.file.getvalue()


def marked(run_dir):
    (line,) = [line for line in printed(run_dir).splitlines() if "★" in line]
    return line.split()


def test_the_best_is_the_one_whose_seeds_end_best(run_dir):
    text = printed(run_dir)
    assert "Best is trials 3–5: last success rate 0.700 ± 0.173, the mean of 3 seeds" in text
    assert marked(run_dir)[:4] == ["★", "trials", "3–5", "0.2"]
    assert "6 trials: 6 stopped early" in text or "6 trials: 6 finished" in text


def test_a_seed_is_no_choice_of_the_best(run_dir):
    printed(run_dir)
    text = (run_dir / "best.yaml").read_text()
    assert "config.lr = 0.2" in text
    assert "config.seed" not in text
    best = load_experiment(run_dir / "best.yaml")
    assert best.config["lr"] == 0.2
    assert list(best.space) == ["config.seed"], "it is trained with the seeds of the sweep again"
    assert best.space["config.seed"].options == [0, 1, 2]
    assert (best.tune.metric, best.tune.mode) == (SUCCESS, "max")


def test_the_table_counts_seeds_and_gives_their_spread(run_dir):
    lines = printed(run_dir).splitlines()
    heading = next(line for line in lines if "trial " in line)
    assert "seed " not in heading
    assert {"seeds", "±"} <= set(heading.split())
    row = marked(run_dir)
    assert row[4] == "3"
    assert row[-4:] == ["0.700", "0.173", "8", "s"]


def test_files_hold_configurations_and_trials(run_dir):
    printed(run_dir)
    table = pandas.read_csv(run_dir / "configurations.csv")
    assert list(table["config.lr"]) == [0.2, 0.1]
    assert list(table["mean"]) == pytest.approx([0.7, 0.3])
    trials = pandas.read_csv(run_dir / "trials.csv")
    assert list(trials["configuration"]) == [1, 1, 1, 2, 2, 2]
    assert list(trials["last"]) == [0.8, 0.8, 0.5, 0.3, 0.3, 0.3]
    assert list(trials["best"]) == [0.8, 0.8, 0.5, 1.0, 1.0, 1.0]
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["rank_by"] == "last"
    assert summary["best"] == "trial_00003"
    assert summary["configurations"][0]["trials"] == ["trial_00003", "trial_00004", "trial_00005"]
    assert summary["configurations"][0]["standard_deviation"] == pytest.approx(0.1732, abs=1e-4)


@pytest.mark.parametrize(("rank_by", "mean"), [("last", 0.7), ("mean_of_last_10", 0.5), ("best", 1.0)])
def test_another_value_may_stand_for_a_trial(tmp_path, rank_by, mean):
    run_dir = write_seeds(tmp_path / "run", SEEDS.replace("mode: max", f"mode: max, rank_by: {rank_by}"))
    report = read_sweep(run_dir)
    assert report.measure.rank_by == rank_by
    assert report.best.mean == pytest.approx(mean)
    assert read_sweep(run_dir, rank_by="best").best.mean == 1.0


def test_an_unknown_value_is_refused_with_those_that_there_are(tmp_path):
    with pytest.raises(SettingsError, match=r"rank_by.*'last', 'mean_of_last_10' or 'best'"):
        write_seeds(tmp_path / "run", SEEDS.replace("mode: max", "mode: max, rank_by: newest"))


def test_only_the_last_ten_values_count(tmp_path):
    run_dir = tmp_path / "run"
    write_experiment(run_dir, SEEDS)
    write_trial(run_dir, 0, [*[0.0] * 30, *[0.6] * 9, 0.7], choices(0.1, 0))
    assert read_sweep(run_dir, rank_by="mean_of_last_10").best.mean == pytest.approx(0.61)


def test_the_checkpoint_is_of_the_best_seed_with_its_own_value(run_dir, monkeypatch):
    monkeypatch.chdir(run_dir.parent)
    for directory in run_dir.glob("trial_*"):
        for index, iteration in enumerate([2, 4]):
            checkpoint = directory / f"checkpoint_{index:06d}"
            checkpoint.mkdir()
            (checkpoint / "rllib_checkpoint.json").touch()
            (checkpoint / "iteration").write_text(f"{iteration}\n")
    text = " ".join(printed(run_dir).split())
    assert "checkpoint run/trial_00003/checkpoint_000001" in text
    assert "its value success rate 0.800 in iteration 4 of trial_00003, the best of its seeds" in text


def test_a_seed_of_the_environment_is_a_setting_like_others(tmp_path):
    run_dir = tmp_path / "run"
    text = SEEDS.replace("rllib_recattn/TMaze-v0", "tests.experiment.training.sweeps.CountingEnv")
    write_experiment(run_dir, text.replace("corridor_length: 3", "seed: {grid_search: [0, 1]}"))
    for index in range(4):
        seeds = {"config.seed": index % 2, "config.env_config.seed": index // 2}
        write_trial(run_dir, index, [0.5, index / 10], {"config.lr": 0.1, **seeds})
    assert [len(configuration.trials) for configuration in read_sweep(run_dir).ranking] == [2, 2]
    assert read_sweep(run_dir).best.choices == {"config.lr": 0.1, "config.env_config.seed": 1}


def test_samples_without_any_seed_are_one_configuration_too(tmp_path):
    run_dir = tmp_path / "run"
    text = SEEDS.replace("    seed: {grid_search: [0, 1, 2]}\n", "").replace("tune: {", "tune: {num_samples: 2, ")
    write_experiment(run_dir, text)
    for index, last in enumerate([0.9, 0.1, 0.6, 0.6]):
        write_trial(run_dir, index, [last], {"config.lr": 0.1 if index < 2 else 0.2})
    assert read_sweep(run_dir).best.choices == {"config.lr": 0.2}


def test_missing_values_are_left_out_and_counted(tmp_path):
    nan = float("nan")
    curves = {0.1: [[0.5, nan], [nan, nan], [0.7, 0.6]], 0.2: [[nan], [nan], [nan]]}
    run_dir = write_seeds(tmp_path / "run", curves=curves)
    best, other = read_sweep(run_dir).ranking
    assert (best.choices["config.lr"], best.seeds_text, best.mean) == (0.1, "2 of 3", pytest.approx(0.55))
    assert (other.seeds_text, other.mean != other.mean) == ("0 of 3", True)
    assert "the mean of 2 of 3 seeds" in printed(run_dir)


def test_a_mean_of_those_that_did_not_fail_wins_nothing(tmp_path):
    run_dir = write_seeds(tmp_path / "run", curves={0.1: [[0.9]], 0.2: [[0.5], [0.5], [0.5]]})
    for index in (10, 11):
        write_trial(run_dir, index, [], choices(0.1, index - 9), done=False, error="Failure # 1\nboom\n")
    assert [configuration.choices["config.lr"] for configuration in read_sweep(run_dir).ranking] == [0.2, 0.1]


def test_a_configuration_that_the_scheduler_ended_stands_behind_those_that_trained_on(tmp_path):
    # After two iterations the first had been worse; that the others fell later says nothing for it.
    curves = {0.1: [[0.5, 0.6]] * 3, 0.2: [[0.6, 0.8, 0.7, 0.5]] * 3}
    asha = SEEDS.replace("scheduler: fifo", "scheduler: asha")
    best, cut = read_sweep(write_seeds(tmp_path / "run", asha, curves)).ranking
    assert (best.choices["config.lr"], cut.was_cut, cut.mean) == (0.2, True, pytest.approx(0.6))
    # One that ended by a time budget was not found to be worse.
    assert read_sweep(write_seeds(tmp_path / "fifo", SEEDS, curves)).best.choices["config.lr"] == 0.1
    # One of whose seeds trained on is compared with what all of them reached.
    curves = {0.1: [[0.5, 0.6], [0.9] * 4], 0.2: [[0.6, 0.8, 0.7, 0.6]] * 2}
    assert read_sweep(write_seeds(tmp_path / "mixed", asha, curves)).best.choices["config.lr"] == 0.1


def write_population(run_dir):
    """Write the run of three trials whose learning rate changes after the first of two iterations."""
    pbt = SEEDS.replace("grid_search: [0.1, 0.2]", "uniform: [0.1, 0.2]").replace("scheduler: fifo", "scheduler: pbt")
    pbt = pbt.replace("    seed: {grid_search: [0, 1, 2]}\n", "    seed: 4\n").replace(
        "tune: {", "tune: {num_samples: 3, "
    )
    write_experiment(run_dir, pbt)
    for index, curve in enumerate([[0.9, 0.2], [0.3, 0.6], [0.1, 0.1]]):
        directory = write_trial(run_dir, index, curve, choices(0.1, index + 4))
        lines = (directory / "result.json").read_text().splitlines()
        (directory / "result.json").write_text(f"{lines[0]}\n{lines[1].replace('0.1,', '0.2,')}\n")
        (directory / "params.json").write_text(json.dumps(choices(0.2, index + 4)))
    return run_dir


def test_each_trial_of_a_population_is_one_configuration(tmp_path):
    run_dir = write_population(tmp_path / "run")
    report = read_sweep(run_dir)
    assert [configuration.name for configuration in report.ranking] == ["trial_00001", "trial_00000", "trial_00002"]
    report.write()
    text = (run_dir / "best.yaml").read_text()
    assert "changed while it trained" in text
    assert load_experiment(run_dir / "best.yaml").config["lr"] == 0.2
    assert load_experiment(run_dir / "best.yaml").config["seed"] == 4
    best_ever = read_sweep(run_dir, rank_by="best").best
    assert (best_ever.name, best_ever.choices["config.lr"]) == ("trial_00000", 0.1)


def test_a_row_of_a_population_is_all_of_one_iteration(tmp_path):
    run_dir = write_population(tmp_path / "run")

    def row_of_first(rank_by):
        console = Console(file=io.StringIO(), width=400)
        print_table(console, read_sweep(run_dir, rank_by=rank_by).table(console))
        lines = console.file.getvalue().splitlines()
        (row,) = (
            line.replace("★", "").replace("stopped early", "stopped").split() for line in lines if "trial_00000" in line
        )
        return dict(zip(lines[1].replace("env steps", "steps").split(), row, strict=False)), console.file.getvalue()

    row, text = row_of_first("best")
    assert (row["lr"], row["iterations"], row["success"]) == ("0.1", "1", "0.900")
    assert "each row is of the iteration of its best value" in text
    row, text = row_of_first("last")
    assert (row["lr"], row["iterations"], row["success"]) == ("0.2", "2", "0.200")
    assert "best value" not in text


def test_of_equal_configurations_the_one_with_fewer_steps_comes_first(tmp_path):
    run_dir = write_seeds(tmp_path / "run", curves={0.1: [[0.2, 0.9]] * 2, 0.2: [[0.9]] * 2})
    assert read_sweep(run_dir).best.choices["config.lr"] == 0.2


def test_a_trial_whose_choices_are_lost_joins_no_other(run_dir):
    (run_dir / "trial_00000" / "params.json").write_text('{"config.lr": 0.')
    assert sorted(len(configuration.trials) for configuration in read_sweep(run_dir).ranking) == [1, 2, 3]


def test_the_figure_shows_the_seeds_of_the_best(run_dir, monkeypatch):
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: saved.append(figure))
    read_sweep(run_dir).write()
    curves, rates = saved[0].axes
    stars = [line.get_xydata().tolist() for line in curves.lines if line.get_marker() == "*"]
    assert stars == [[[400, 0.8]], [[400, 0.8]], [[400, 0.5]]]
    assert rates.get_xlabel() == "lr", "there is no panel for the seed"
    assert rates.get_ylabel() == "last success rate"
    (star,) = [line.get_xydata().tolist() for line in rates.lines if line.get_marker() == "*"]
    assert star == [[1.0, pytest.approx(0.7)]]
    legend = [text.get_text() for text in curves.get_legend().get_texts()]
    assert legend == ["best: trials 3–5 (0.2)", "lr = 0.1", "lr = 0.2"]
