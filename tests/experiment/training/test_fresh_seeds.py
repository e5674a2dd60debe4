"""Runs with a seed that go on from a checkpoint, their own or another one's, meet new levels."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pytest
from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.experiment.algorithm import callbacks
from rllib_recattn.experiment.algorithm.build import build_config
from rllib_recattn.experiment.training.run import run_experiment
from rllib_recattn.rl_module.fixes.fresh_seeds import FreshSeedsCallback
from tests.experiment.training.sweeps import GRU, load_sweep, read_results, run_sweep, trial_directories
from tests.rl_module.levels import LevelsEnv, levels, take_diaries

ENV = f"{LevelsEnv.__module__}.{LevelsEnv.__qualname__}"
LEARNING_RATE = "learners/default_policy/default_optimizer_learning_rate"
TAKE_TURNS = {"num_cpus_for_main_process": 4}


@pytest.fixture
def diary(tmp_path):
    path = tmp_path / "diary"
    path.mkdir()
    return path


def load(tmp_path, diary, *, config=(), **changes):
    config = {"env_config": {"diary": str(diary)}, "seed": 5, **dict(config)}
    return load_sweep(tmp_path, env=ENV, config=config, **changes)


@pytest.mark.parametrize("is_stock", [False, True])
@pytest.mark.parametrize(
    "choices",
    [
        pytest.param({"model": GRU}, id="new", marks=pytest.mark.slow),
        pytest.param({"model": None}, id="rllibs-own-model", marks=pytest.mark.slow),
        pytest.param({"model": GRU, "api_stack": "old"}, id="old"),
    ],
)
def test_a_checkpoint_that_is_loaded(ray_session, tmp_path, diary, monkeypatch, choices, is_stock):
    if is_stock:
        monkeypatch.setattr(callbacks, "FreshSeedsCallback", RLlibCallback)
        if choices.get("api_stack") != "old":
            choices = {**choices, "model": choices["model"] and {**GRU, "rllib_fixes": {"fresh_seeds": False}}}
    small = {"train_batch_size_per_learner": None, "train_batch_size": 64} if "api_stack" in choices else {}
    config = build_config(load(tmp_path, diary, config=small, **choices))
    (tmp_path / "checkpoint").mkdir()
    written = []
    for _ in range(3):
        algorithm = config.copy(copy_frozen=False).build_algo()
        try:
            if written:
                algorithm.load_checkpoint(str(tmp_path / "checkpoint"))
            algorithm.train()
            if not written:
                algorithm.save_checkpoint(str(tmp_path / "checkpoint"))
        finally:
            algorithm.stop()
        written.append(take_diaries(diary))
    first, second, third = written
    assert len(levels(first)) >= 10
    assert second == third
    assert set(levels(first)).isdisjoint(levels(second)) != is_stock


@pytest.mark.slow
def test_a_run_that_begins_with_a_checkpoint(ray_session, tmp_path, diary):
    def run(**changes):
        experiment = load(tmp_path, diary, **changes)
        with redirect_stdout(io.StringIO()):
            result = run_experiment(experiment, build_config(experiment))
        assert result.status == "finished"
        return result.run_dir, levels(take_diaries(diary))

    run_dir, first = run()
    _, second = run(restore=str(run_dir), stop={"training_iteration": 4})
    assert len(second) >= 10
    assert not set(first) & set(second)


@pytest.mark.slow
def test_trials_that_take_over_others_checkpoints(ray_session, tmp_path, diary):
    """Population-based training pauses trials, and lets them go on from their own checkpoint or from the best one's."""
    experiment = load(
        tmp_path,
        diary,
        stop={"training_iteration": 6},
        config={"lr": {"uniform": [1e-4, 1e-2]}, "num_envs_per_env_runner": 1, **TAKE_TURNS},
        tune={
            "num_samples": 2,
            "metric": LEARNING_RATE,
            "scheduler": {"pbt": {"perturbation_interval": 2, "quantile_fraction": 0.5}},
        },
    )
    result = run_sweep(experiment)
    assert result.status == "finished"
    results = [read_results(directory) for directory in trial_directories(result.run_dir)]
    assert any(len({line["config"]["config.lr"] for line in lines}) > 1 for lines in results)  # one took over
    assert [{line["config"]["config.seed"] for line in lines} for lines in results] == [{5}, {6}]
    met = levels(take_diaries(diary))
    assert len(met) > 60
    assert len(met) == len(set(met))


def test_every_experiment_has_the_callback_once(tmp_path, diary):
    for model in (GRU, None):
        config = build_config(load(tmp_path, diary, model=model))
        assert list(config.callbacks_class).count(FreshSeedsCallback) == 1
    off = {**GRU, "rllib_fixes": {"fresh_seeds": False}}
    assert FreshSeedsCallback not in build_config(load(tmp_path, diary, model=off)).callbacks_class
