"""What is printed while a sweep runs, in a terminal and elsewhere."""

from __future__ import annotations

import io
import math
import pickle
from types import SimpleNamespace

import pytest
from rich.console import Console

from rllib_recattn.experiment.records.measure import Measure
from rllib_recattn.experiment.reports.text import report_console
from rllib_recattn.experiment.training.progress import live_table
from rllib_recattn.experiment.training.progress.sweep_progress import SweepProgress, restored_terminal

SUCCESS = "env_runners/success_rate"
STOP = {SUCCESS: 0.95, "training_iteration": 3}


def trial(index, status="RUNNING", **choices):
    return SimpleNamespace(
        trial_id=f"abc_{index:05d}",
        experiment_tag=f"{index}_x",
        config={"model.name": "gru", "config.lr": 0.001, **choices, "experiment": "x.json"},
        status=status,
        last_result={},
        metric_analysis={},
        num_failures=1,
    )


def result(iteration, success):
    return {
        "training_iteration": iteration,
        "num_env_steps_sampled_lifetime": 100.0 * iteration,
        "time_total_s": 1.0 * iteration,
        "time_this_iter_s": 1.0,
        "env_runners": {"success_rate": success, "episode_return_mean": 0.5, "num_env_steps_sampled": 100},
    }


@pytest.fixture
def terminal(monkeypatch):
    """Makes a terminal of some size the one that reports print to."""

    def make(width=100, height=20):
        console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
        monkeypatch.delenv("CI", raising=False)
        for module in ("report", "live_table", "sweep_progress"):
            monkeypatch.setattr(f"rllib_recattn.experiment.training.progress.{module}.report_console", lambda: console)
        monkeypatch.setattr(live_table, "_SECONDS_BETWEEN_DRAWINGS", 0)
        return console

    yield make
    live_table.end_live_table()


def started(stop=STOP, rank_by="last", **options):
    # Tune pickles its callbacks before a run.
    callback = pickle.loads(pickle.dumps(SweepProgress(Measure(SUCCESS, "max", rank_by), **options)))
    callback.setup(stop=stop, total_num_samples=2)
    return callback


@pytest.fixture(autouse=True)
def new_console():
    report_console.cache_clear()
    yield
    report_console.cache_clear()


def test_lines_name_the_trial_where_there_is_no_terminal(capsys):
    one, other = trial(0), trial(1, **{"model.name": "lstm"})
    callback = started()
    callback.on_trial_start(0, [one, other], one)
    callback.on_trial_result(0, [one, other], one, result(1, 0.25))
    callback.on_trial_start(0, [one, other], other)
    callback.on_trial_result(0, [one, other], other, result(3, math.nan))
    callback.on_trial_complete(0, [one, other], other)
    callback.on_trial_complete(0, [one, other], one)
    callback.on_step_end(0, [one, other])
    callback.on_experiment_end([one, other])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "trial_00000: model = gru, lr = 0.001"
    assert lines[1].split() == ["trial", "iteration", "env", "steps", "return", "success", "steps/s", "elapsed"]
    assert lines[2].split() == ["trial_00000", "1", "100", "0.50", "0.25", "100", "1", "s"]
    assert lines[3] == "trial_00001: model = lstm, lr = 0.001"
    assert lines[4].split() == ["trial_00001", "3", "300", "0.50", "–", "100", "3", "s"]
    assert lines[5:] == ["trial_00001: finished", "trial_00000: stopped early"]


@pytest.mark.parametrize("variable", [("TERM", "dumb"), ("CI", "true")])
def test_a_dumb_terminal_and_ci_get_lines(variable, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, as far as rich can tell
    monkeypatch.setenv(*variable)
    started()
    assert live_table._live is None


def test_a_terminal_gets_a_table_that_is_gone_at_the_end(terminal):
    console = terminal()
    trials = [trial(0), trial(1, "PENDING")]
    callback = started()
    callback.on_trial_start(0, trials, trials[0])
    callback.on_trial_result(0, trials, trials[0], result(1, 0.25))
    callback.on_step_end(0, trials)
    drawn = console.file.getvalue()
    assert "2 trials: 1 running, 1 pending" in drawn
    (row,) = [line for line in drawn.splitlines() if "trial_00000" in line]
    assert row.split() == [
        "★",
        "trial_00000",
        "gru",
        "0.001",
        "running",
        "1",
        "100",
        "0.50",
        "0.250",
        "1",
        "s",
    ]
    callback.on_experiment_end(trials)
    assert console.file.getvalue().endswith("\x1b[2K")
    callback.on_step_end(0, trials)  # nothing is drawn any more
    assert console.file.getvalue().endswith("\x1b[2K")


def test_errors_are_shown_above_the_table(terminal, tmp_path):
    console = terminal()
    broken = trial(0, "ERROR")
    broken.local_path = str(tmp_path)
    (tmp_path / "error.txt").write_text("Failure # 1 (at 1)\nTraceback …\nRuntimeError: the motor is broken\n")
    callback = started()
    callback.on_step_end(0, [broken])
    callback.on_trial_error(0, [broken], broken)
    printed = console.file.getvalue()
    assert "trial_00000 failed: RuntimeError: the motor is broken (traceback: " in printed
    assert printed.rindex("1 trial: 1 failed") > printed.index("the motor is broken"), "the table is drawn again below"


def test_the_terminal_is_restored_whatever_happens(terminal):
    console = terminal()

    def interrupted():
        with restored_terminal():
            started()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert live_table._live is None
    assert console.file.getvalue().rstrip("\x1b[2K\r1A").endswith("\x1b[?25h"), "the cursor is shown again"


def test_a_resumed_sweep_shows_what_it_had_reached(terminal):
    console = terminal()
    first, resumed = trial(0, "PENDING", **{"config.lr": 0.002}), trial(1, "PENDING")
    resumed.last_result = result(2, 0.5)
    resumed.metric_analysis = {SUCCESS: {"max": 0.75, "min": 0.25, "last": 0.5}}
    callback = started(rank_by="best")
    callback.on_step_end(0, [resumed, first])
    rows = [line.split() for line in console.file.getvalue().splitlines() if "trial_0" in line]
    assert [row[0] for row in rows] == ["trial_00000", "★"], "in their order"
    assert rows[1][8:10] == ["0.500", "0.750"]
    callback.on_trial_result(0, [resumed], resumed, result(3, 0.6))
    callback.on_step_end(0, [resumed])
    assert console.file.getvalue().splitlines()[-3].split()[8:10] == ["0.600", "0.750"]


@pytest.mark.parametrize(
    ("is_population", "leading"), [(False, {"trial_00002", "trial_00003"}), (True, {"trial_00000"})]
)
def test_the_seeds_that_lead_together_are_marked(terminal, is_population, leading):
    console = terminal()
    seeds = [{"config.lr": lr, "config.seed": seed} for lr in (0.1, 0.2) for seed in (0, 1)]
    trials = [trial(index, **choices) for index, choices in enumerate(seeds)]
    callback = started(is_population=is_population)
    for one, success in zip(trials, (0.9, 0.1, 0.7, 0.6), strict=True):
        callback.on_trial_result(0, trials, one, result(1, success))
    callback.on_step_end(0, trials)
    marked = {line.split()[1] for line in console.file.getvalue().splitlines() if line.lstrip().startswith("★")}
    assert marked == leading
