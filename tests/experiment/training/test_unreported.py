"""Stop criteria whose metric never comes are told, and end training that nothing else would end."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from rllib_recattn.experiment.definition.schedulers import AshaBlock, FifoBlock
from rllib_recattn.experiment.training.unreported import UnreportedMetrics
from tests.experiment.training.sweeps import load_sweep, run_sweep

SUCCESS = "env_runners/success_rate"
RETURN = "env_runners/episode_return_mean"


def iteration(**metrics):
    return {"training_iteration": 1, RETURN: 1.0, "env_runners/num_episodes": 100, **metrics}


def watch(*stop, scheduler=None, time_budget_s=None, **config):
    tune = SimpleNamespace(time_budget_s=time_budget_s, scheduler=scheduler or FifoBlock())
    return UnreportedMetrics(SimpleNamespace(stop=dict.fromkeys(stop, 0.9), tune=tune, config=config))


def ended_after(watched, results, trial="a"):
    """The number of the result after which the trial is ended; None: it never is."""
    return next((number for number, result in enumerate(results, 1) if watched.ends(trial, result)), None)


def test_three_iterations_with_episodes_are_enough():
    begin = [iteration(**{RETURN: math.nan, "env_runners/num_episodes": 0})] * 50
    watched = watch(SUCCESS)
    assert ended_after(watched, [*begin, *[iteration()] * 9]) == 53
    assert f"none of its stop criteria is reported ({SUCCESS})" in watched.endless


def test_a_success_rate_may_wait_for_its_episodes():
    few = [iteration(**{"env_runners/num_episodes": 10})] * 50
    assert ended_after(watch(SUCCESS), few) == 20
    assert ended_after(watch(SUCCESS, metrics_num_episodes_for_smoothing=20), few) == 4
    of_run = [{**each, "config/metrics_num_episodes_for_smoothing": 50} for each in few]
    assert ended_after(watch(SUCCESS), of_run) == 10
    of_trial = [{**each, "config/config.metrics_num_episodes_for_smoothing": 50} for each in few]
    assert ended_after(watch(SUCCESS), of_trial) == 10


@pytest.mark.parametrize(
    ("stop", "options"),
    [
        ((SUCCESS, "training_iteration"), {}),
        ((SUCCESS, RETURN), {}),
        ((SUCCESS,), {"time_budget_s": 60}),
        ((SUCCESS,), {"scheduler": AshaBlock(max_t=100)}),
    ],
)
def test_with_another_end_there_is_one_note_only(stop, options, capsys):
    watched = watch(*stop, **options)
    assert ended_after(watched, [iteration()] * 50) is None
    assert ended_after(watched, [iteration()] * 50, trial="b") is None
    assert watched.endless is None
    assert "".join(capsys.readouterr().out).count("Note: env_runners/success_rate ends nothing") == 1


@pytest.mark.parametrize("metric", [SUCCESS, "learners/p/entropy", "evaluation/env_runners/success_rate"])
def test_a_metric_that_came_once_is_waited_for(metric):
    results = [iteration(**{metric: 0.5}), *[iteration()] * 50]
    assert ended_after(watch(metric), results) is None


@pytest.mark.parametrize(
    ("metric", "sign"),
    [
        ("evaluation/env_runners/success_rate", "evaluation/env_runners/episode_return_mean"),
        ("learners/p/mean_kl_loss", "learners/p/total_loss"),
        ("info/learner/p/learner_stats/kl", "info/learner/p/learner_stats/total_loss"),
    ],
)
def test_others_are_expected_when_their_kind_is_reported(metric, sign):
    assert ended_after(watch(metric), [iteration()] * 50) is None
    assert ended_after(watch(metric), [iteration(), iteration(**{sign: 1})] * 50) == 6


def test_an_agent_may_play_seldom():
    assert ended_after(watch("env_runners/agent_episode_returns_mean/seldom"), [iteration()] * 50) is None


def test_a_run_ends_with_its_checkpoint_and_says_how_to_go_on(ray_session, tmp_path, capsys):
    experiment = load_sweep(tmp_path, stop={SUCCESS: 0.9}, config={})
    result = run_sweep(experiment)
    assert (result.status, result.exit_code, result.metrics["training_iteration"]) == ("failed", 1, 3)
    assert result.checkpoint == result.run_dir / "trial_00000" / "checkpoint_000000"
    output = capsys.readouterr().out
    assert "Note: env_runners/success_rate ends nothing: no episode says whether it was a success" in output
    assert "Training would never end" in output
    assert output.endswith(f"  rllib train file {experiment.path} --restore {result.checkpoint}\n")


def test_trials_end_too(ray_session, tmp_path, capsys):
    result = run_sweep(load_sweep(tmp_path, stop={SUCCESS: 0.9}, config={"lr": {"grid_search": [1e-3, 1e-4]}}))
    assert (result.status, result.metrics["training_iteration"]) == ("failed", 3)
    output = capsys.readouterr().out
    assert output.count("ends nothing") == 1
    assert "Training would never end" in output
