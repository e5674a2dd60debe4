"""The success rate, counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from rllib_recattn.rl_module.metrics import SuccessRateCallback


def success_rate(last_infos, smoothing, num_env_runners=0, in_evaluation=False):
    config = PPOConfig().env_runners(num_env_runners=num_env_runners)
    config.reporting(metrics_num_episodes_for_smoothing=smoothing)
    config.in_evaluation = in_evaluation
    callback, logger = SuccessRateCallback(), MetricsLogger()
    for info in last_infos:
        callback.on_episode_end(
            episode=SimpleNamespace(get_infos=lambda index, info=info: {-1: info}[index]),
            env_runner=SimpleNamespace(config=config),
            metrics_logger=logger,
        )
    return logger.peek("success_rate") if "success_rate" in logger.stats else None


SUCCESS, FAILURE = {"success": True}, {"success": False}


def test_it_is_the_share_of_successes():
    assert success_rate([SUCCESS, FAILURE, {"success": 1.0}, SUCCESS], smoothing=4) == 0.75


def test_it_forgets_episodes_beyond_the_smoothing_window():
    assert success_rate([FAILURE] * 5 + [SUCCESS] * 4, smoothing=4) == 1.0
    assert success_rate([FAILURE] * 5 + [SUCCESS] * 2, smoothing=4, num_env_runners=2) == 1.0


def test_it_waits_for_a_full_window_except_in_evaluation():
    assert success_rate([SUCCESS] * 3, smoothing=4) is None
    assert success_rate([FAILURE, *[SUCCESS] * 3], smoothing=4) == 0.75
    assert success_rate([SUCCESS] * 3, smoothing=4, in_evaluation=True) == 1.0


def test_environments_that_report_none_get_no_metric():
    assert success_rate([{}, {"other": 1}], smoothing=2) is None


def test_an_episode_that_a_wrapper_cut_off_counts_as_a_failure():
    assert success_rate([SUCCESS, {}, SUCCESS, {}], smoothing=4) == 0.5
