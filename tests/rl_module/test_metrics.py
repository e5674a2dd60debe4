"""The success rate, counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from rllib_recattn.rl_module.metrics import SuccessRateCallback


def success_rate(last_infos, smoothing=100, num_env_runners=0):
    config = PPOConfig().env_runners(num_env_runners=num_env_runners)
    config.reporting(metrics_num_episodes_for_smoothing=smoothing)
    callback, logger = SuccessRateCallback(), MetricsLogger()
    for info in last_infos:
        callback.on_episode_end(
            episode=SimpleNamespace(get_infos=lambda index, info=info: {-1: info}[index]),
            env_runner=SimpleNamespace(config=config),
            metrics_logger=logger,
        )
    return logger.peek("success_rate") if "success_rate" in logger.stats else None


def test_it_is_the_share_of_successes():
    assert success_rate([{"success": True}, {"success": False}, {"success": 1.0}, {"success": True}]) == 0.75


def test_it_forgets_episodes_beyond_the_smoothing_window():
    assert success_rate([{"success": False}] * 5 + [{"success": True}] * 4, smoothing=4) == 1.0
    assert success_rate([{"success": False}] * 5 + [{"success": True}] * 2, smoothing=4, num_env_runners=2) == 1.0


def test_environments_that_report_none_get_no_metric():
    assert success_rate([{}, {"other": 1}]) is None


def test_an_episode_that_a_wrapper_cut_off_counts_as_a_failure():
    assert success_rate([{}, {"success": True}, {}, {"success": True}]) == 2 / 3
