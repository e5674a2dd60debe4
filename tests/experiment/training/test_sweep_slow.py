"""Each scheduler and each search algorithm on a sweep, and a sweep whose process is killed."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time

import pytest
from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.experiment.definition.imports import ImportEntry
from rllib_recattn.experiment.records.metrics import read_results
from tests.experiment.training.sweeps import (
    GRU,
    LSTM,
    iterations,
    load_sweep,
    parameters,
    run_sweep,
    trial_directories,
)
from tests.programs import RLLIB_PROGRAM

pytestmark = pytest.mark.slow


# A metric of which it is clear which trial has more, and settings that let one trial train at a time: they take turns.
LEARNING_RATE = "learners/default_policy/default_optimizer_learning_rate"
TAKE_TURNS = {"num_cpus_for_main_process": 4}


@pytest.mark.parametrize(
    ("scheduler", "iterations_of_trials"),
    [
        ({"asha": {"reduction_factor": 2}}, [4, 1, 1, 1]),
        ({"hyperband": {"reduction_factor": 2}}, [2, 2, 2, 1]),  # the first two are not compared with any
        ({"median": {"grace_period": 1, "min_samples_required": 1}}, [4, 1, 1, 1]),
    ],
    ids=["asha", "hyperband", "median"],
)
def test_a_scheduler_ends_trials_early(ray_session, tmp_path, scheduler, iterations_of_trials):
    experiment = load_sweep(
        tmp_path,
        stop={"training_iteration": max(iterations_of_trials)},
        config={"lr": {"grid_search": [1e-2, 1e-3, 1e-4, 1e-5]}, **TAKE_TURNS},
        tune={"scheduler": scheduler, "metric": LEARNING_RATE},
    )
    result = run_sweep(experiment)
    assert result.status == "finished"
    assert [len(iterations(trial_dir)) for trial_dir in trial_directories(result.run_dir)] == iterations_of_trials


def test_a_time_budget_ends_a_run(ray_session, tmp_path, capsys):
    experiment = load_sweep(tmp_path, stop={"training_iteration": 10**6}, config={}, time_budget_s=5)
    result = run_sweep(experiment)
    assert result.status == "finished"
    assert "Finished: time_budget_s 5 ≥ 5" in capsys.readouterr().out
    assert (result.run_dir / "summary.json").exists()
    saved = pickle.loads((result.checkpoint / "algorithm_state.pkl").read_bytes())
    assert saved["training_iteration"] == result.metrics["training_iteration"] > 0, "nothing that was learned is lost"


def test_a_time_budget_lets_trials_end_their_iteration(ray_session, tmp_path, capsys):
    experiment = load_sweep(
        tmp_path,
        stop={"training_iteration": 10**6},
        config={"lr": {"grid_search": [1e-2, 1e-3, 1e-4]}, **TAKE_TURNS},
        time_budget_s=1e-9,  # over before any iteration is
    )
    result = run_sweep(experiment)
    assert result.status == "finished"
    assert result.metrics["training_iteration"] == 1
    assert result.checkpoint is not None
    assert "Interrupted" not in capsys.readouterr().out


def test_a_sweep_on_the_old_stack(ray_session, tmp_path):
    experiment = load_sweep(
        tmp_path,
        api_stack="old",
        stop={"training_iteration": 1},
        model={"grid_search": [GRU, LSTM]},
        config={"train_batch_size_per_learner": None},
    )
    result = run_sweep(experiment)
    assert result.status == "finished"
    assert sorted(choices["model"] for choices in parameters(result.run_dir)) == ["gru", "lstm"]


@pytest.mark.parametrize("run", ["APPO", "IMPALA"])
def test_a_sweep_of_another_algorithm(ray_session, tmp_path, run):
    experiment = load_sweep(
        tmp_path,
        run=run,
        stop={"training_iteration": 1},
        config={
            "minibatch_size": None,
            "num_epochs": None,
            "min_time_s_per_iteration": 1,
            "lr": {"grid_search": [1e-3]},
        },
    )
    result = run_sweep(experiment)
    assert result.status == "finished"
    assert parameters(result.run_dir) == [{"config.lr": 1e-3}]


@pytest.mark.parametrize(("search_alg", "package"), [("random", "ray"), ("optuna", "optuna"), ("hyperopt", "hyperopt")])
def test_a_sweep_is_the_same_twice(ray_session, tmp_path, search_alg, package):
    pytest.importorskip(package)
    runs = []
    for name in ("first", "second"):
        directory = tmp_path / name
        directory.mkdir()
        experiment = load_sweep(
            directory,
            stop={"training_iteration": 1},
            model={"choice": [GRU, LSTM]},
            config={"lr": {"loguniform": [1e-5, 1e-2]}, "num_epochs": {"randint": [1, 4]}, "seed": 5},
            tune={"num_samples": 3, "search_alg": search_alg, "max_concurrent_trials": 1},
        )
        result = run_sweep(experiment)
        assert result.status == "finished"
        runs.append((parameters(result.run_dir), [path.name for path in trial_directories(result.run_dir)]))
    assert runs[0] == runs[1]
    choices, names = runs[0]
    assert names == ["trial_00000", "trial_00001", "trial_00002"]
    assert [choice["config.seed"] for choice in choices] == [5, 6, 7]
    assert len({choice["config.lr"] for choice in choices}) == 3
    assert {choice["model"] for choice in choices} <= {"gru", "lstm"}


@pytest.mark.parametrize(("scheduler", "package"), [("pbt", "ray"), ("pb2", "sklearn")])
def test_what_population_based_training_changes_is_in_force(ray_session, tmp_path, scheduler, package):
    pytest.importorskip(package)
    experiment = load_sweep(
        tmp_path,
        stop={"training_iteration": 6},
        config={"lr": {"uniform": [1e-4, 1e-2]}, "seed": 0, **TAKE_TURNS},
        tune={
            "num_samples": 2,
            "metric": LEARNING_RATE,
            "scheduler": {scheduler: {"perturbation_interval": 2, "quantile_fraction": 0.5}},
        },
    )
    callback = ImportEntry(path=f"{__name__}.LearningRates")
    result = run_sweep(experiment.model_copy(update={"callbacks": (callback,)}))
    assert result.status == "finished"
    results = [read_results(trial_dir) for trial_dir in trial_directories(result.run_dir)]
    for line in (line for lines in results for line in lines):
        # The optimizer's own learning rate at the beginning of each iteration is the one that was chosen by then.
        assert line["learning_rate_before"] == pytest.approx(line["config"]["config.lr"])
        assert 1e-4 <= line["config"]["config.lr"] <= 1e-2
    assert any(len({line["config"]["config.lr"] for line in lines}) > 1 for lines in results)


class LearningRates(RLlibCallback):
    """Reports the learning rate with which an iteration began."""

    def on_algorithm_init(self, *, algorithm, **kwargs):
        step = algorithm.training_step

        def training_step(*args, **kwargs):
            def rates(learner):
                return [learner._get_optimizer_lr(optimizer) for optimizer in learner._named_optimizers.values()]

            self._before = next(iter(algorithm.learner_group.foreach_learner(rates))).get()[0]
            return step(*args, **kwargs)

        algorithm.training_step = training_step

    def on_train_result(self, *, algorithm, result, **kwargs):
        result["learning_rate_before"] = float(self._before)


def test_a_sweep_whose_process_was_killed_is_resumed(tmp_path):
    experiment = load_sweep(
        tmp_path,
        stop={"training_iteration": 12},
        config={"lr": {"grid_search": [1e-3, 1e-4, 1e-5]}, "seed": 0},
        tune={"scheduler": {"asha": {"grace_period": 12}}},
        checkpoint={"frequency": 2},
    )
    command = [sys.executable, "-u", "-c", RLLIB_PROGRAM, "train", "file", str(experiment.path), "--ray-num-cpus", "2"]
    reported = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            words = line.split()
            if len(words) > 3 and words[0].startswith("trial_") and words[1].isdigit():
                reported.add((words[0], int(words[1])))
            if any(iteration >= 7 for _, iteration in reported):
                time.sleep(2)  # what is known is written once a second
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    (run_dir,) = experiment.storage_path.glob("sweep-*")

    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert list(experiment.storage_path.glob("sweep-*")) == [run_dir]
    directories = trial_directories(run_dir)
    assert len(directories) == 3
    for trial_dir in directories:
        done = iterations(trial_dir)
        assert sorted(set(done)) == list(range(1, 13))
        assert done[-1] == 12
        # From a checkpoint, not from the beginning: two iterations are repeated, and what was not yet written.
        assert len(done) < 12 + 7
    assert {(name, iteration) for name, iteration in reported} <= {
        (trial_dir.name, iteration) for trial_dir in directories for iteration in iterations(trial_dir)
    }
    assert json.loads((run_dir / "summary.json").read_text())["statuses"] == {"finished": 3}
