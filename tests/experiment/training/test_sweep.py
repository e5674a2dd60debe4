"""Sweeps: several trials of one experiment, side by side, and how they end."""

from __future__ import annotations

import json
import signal

import pytest
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.ppo import PPO

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.definition.load import load_experiment
from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint
from rllib_recattn.experiment.records.metrics import read_results
from rllib_recattn.experiment.records.run_directory import find_unfinished_run
from rllib_recattn.experiment.records.trial_settings import group_trials
from rllib_recattn.experiment.records.trials import read_trials
from rllib_recattn.experiment.training.progress.sweep_progress import SweepProgress
from tests.experiment.training.sweeps import (
    GRU,
    LSTM,
    CountingEnv,
    iterations,
    load_sweep,
    parameters,
    run_sweep,
    trial_directories,
)


@pytest.fixture(scope="module")
def finished_sweep(ray_session, tmp_path_factory):
    """Two models, two seeds each."""
    directory = tmp_path_factory.mktemp("sweep")
    experiment = load_sweep(
        directory, model={"grid_search": [GRU, LSTM]}, config={"seed": 3}, tune={"num_samples": 2, "scheduler": "asha"}
    )
    return experiment, run_sweep(experiment)


def test_each_trial_has_its_choices_and_a_seed_of_its_own(finished_sweep):
    _, result = finished_sweep
    assert result.exit_code == 0
    assert [path.name for path in trial_directories(result.run_dir)] == [f"trial_0000{number}" for number in range(4)]
    assert sorted((choice["model"], choice["config.seed"]) for choice in parameters(result.run_dir)) == [
        ("gru", 3),
        ("gru", 4),
        ("lstm", 3),
        ("lstm", 4),
    ]


def test_results_say_the_choices_and_not_the_whole_config(finished_sweep):
    _, result = finished_sweep
    for trial_dir, choices in zip(trial_directories(result.run_dir), parameters(result.run_dir), strict=True):
        assert all(line["config"] == choices for line in read_results(trial_dir))


def test_the_run_directory_says_what_was_asked_for(finished_sweep):
    experiment, result = finished_sweep
    written = json.loads((result.run_dir / "experiment.json").read_text())
    assert written["content"] == experiment.content
    assert list(written["space"]) == ["model", "config.seed"]
    assert written["tune"]["num_samples"] == 2
    assert json.loads((result.run_dir / "summary.json").read_text())["statuses"].keys() <= {"finished", "stopped early"}


def test_the_checkpoint_of_a_trial_is_one_of_any_algorithm(finished_sweep):
    _, result = finished_sweep
    for trial_dir, choices in zip(trial_directories(result.run_dir), parameters(result.run_dir), strict=True):
        (checkpoint,) = trial_dir.glob("checkpoint_*")
        assert len(evaluate_checkpoint(checkpoint, episodes=1).episodes) == 1
        if choices == {"model": "lstm", "config.seed": 4}:
            algorithm = Algorithm.from_checkpoint(checkpoint)
            try:
                assert type(algorithm) is PPO
                assert algorithm.config.seed == 4
                assert algorithm.config.model_config["recattn"]["model"] == "lstm"
                assert algorithm.train()["training_iteration"] == read_results(trial_dir)[-1]["training_iteration"] + 1
            finally:
                algorithm.stop()


@pytest.mark.slow
def test_a_failed_trial_ends_no_other_and_is_tried_again_when_resumed(ray_session, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.touch()
    experiment = load_sweep(
        tmp_path,
        config={
            "env_config": {"fails_while": {"grid_search": [str(broken), None]}},
            "restart_failed_sub_environments": False,
        },
    )
    result = run_sweep(experiment)
    output = capsys.readouterr().out
    assert (result.status, result.exit_code) == ("failed", 1)
    assert "1 of 2 trials failed." in output
    failed, other = sorted(result.run_dir.glob("trial_*"))
    assert str(failed / "error.txt") in output
    assert "the motor is broken" in (failed / "error.txt").read_text()
    assert iterations(other) == [1, 2]
    assert not (result.run_dir / "summary.json").exists()

    broken.unlink()
    resumed = run_sweep(experiment, resume=find_unfinished_run(experiment.storage_path, experiment.name))
    assert (resumed.status, resumed.run_dir) == ("finished", result.run_dir)
    assert [iterations(trial_dir) for trial_dir in (failed, other)] == [[1, 2], [1, 2]]
    assert (result.run_dir / "summary.json").exists()


def test_environments_are_compared(ray_session, tmp_path, capsys):
    environments = ["CartPole-v1", f"{CountingEnv.__module__}.CountingEnv"]
    result = run_sweep(load_sweep(tmp_path, env={"grid_search": environments}, config={"num_envs_per_env_runner": 4}))
    assert result.status == "finished"
    assert [choices["env"] for choices in parameters(result.run_dir)] == environments
    # CartPole's first episodes last for 20 steps or so, the other's for five.
    assert "\n  env           CartPole-v1\n" in capsys.readouterr().out
    assert load_experiment(result.run_dir / "best.yaml").env == "CartPole-v1"
    trials = read_trials(result.run_dir)
    assert group_trials(trials) == dict(zip(environments, ([trial] for trial in trials), strict=True))


def test_an_interrupted_sweep_goes_on_with_all_its_trials(ray_session, tmp_path, monkeypatch, capsys):
    experiment = load_sweep(
        tmp_path,
        stop={"training_iteration": 3},
        config={"lr": {"grid_search": [1e-3, 1e-4]}},
        tune={"max_concurrent_trials": 1, "scheduler": {"asha": {"grace_period": 3}}},
    )
    report = SweepProgress.on_trial_result

    def on_trial_result(self, *, result, **info):
        report(self, result=result, **info)
        if result["training_iteration"] == 1:
            signal.raise_signal(signal.SIGINT)
            monkeypatch.undo()

    monkeypatch.setattr(SweepProgress, "on_trial_result", on_trial_result)
    interrupted = run_sweep(experiment)
    assert (interrupted.status, interrupted.exit_code) == ("interrupted", 130)
    assert f"rllib train file {experiment.path} --resume" in capsys.readouterr().out
    before = {trial_dir.name: iterations(trial_dir) for trial_dir in trial_directories(interrupted.run_dir)}
    assert before in ({"trial_00000": [1]}, {"trial_00000": [1, 2]})

    run_dir = find_unfinished_run(experiment.storage_path, experiment.name)
    resumed = run_sweep(experiment, resume=run_dir)
    assert resumed.status == "finished"
    # A paused trial was saved: nothing is repeated.
    assert [iterations(trial_dir) for trial_dir in trial_directories(run_dir)] == [[1, 2, 3]] * 2
    assert sorted(choices["config.lr"] for choices in parameters(run_dir)) == [1e-4, 1e-3]


def test_the_largest_variant_has_to_find_room(ray_session, tmp_path):
    experiment = load_sweep(tmp_path, config={"num_env_runners": {"choice": [0, 50]}})
    with pytest.raises(SettingsError, match="needs 51 CPUs"):
        run_sweep(experiment)
    assert not experiment.storage_path.exists()


def test_a_metric_that_comes_late_ends_nothing(ray_session, tmp_path):
    experiment = load_sweep(
        tmp_path,
        # An episode has five steps, the first iteration four.
        config={"train_batch_size_per_learner": 4, "minibatch_size": 4, "lr": {"grid_search": [1e-3]}},
        model={**GRU, "max_seq_len": 4},
        tune={"scheduler": "hyperband"},
    )
    result = run_sweep(experiment)
    (trial_dir,) = trial_directories(result.run_dir)
    assert "episode_return_mean" not in read_results(trial_dir)[0]["env_runners"]
    assert result.status == "finished"
