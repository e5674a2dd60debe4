"""The success rate as a metric of RLlib's old API stack."""

from __future__ import annotations

from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.success import SUCCESS, SUCCESS_RATE


class OldStackSuccessRateCallback(RLlibCallback):
    """Reports ``env_runners/success_rate``, for environments that say ``success`` in the last info of an episode.

    It is the mean over as many episodes as RLlib's own ``episode_return_mean``
    (``metrics_num_episodes_for_smoothing``), and comes once there are that many, as on the new API stack. Evaluation
    has its own number of episodes and does not wait. Where an environment reports success, an episode that says
    nothing of it counts as a failure; environments that never do get no such metric.
    """

    def __init__(self) -> None:
        super().__init__()
        self._environment_reports_success = False

    def on_episode_end(self, *, episode: Any, **kwargs: Any) -> None:
        """Note whether the episode that just ended was a success."""
        infos = [episode.last_info_for(agent) or {} for agent in episode.get_agents()]
        said = [float(info[SUCCESS]) for info in infos if SUCCESS in info]
        self._environment_reports_success |= bool(said)
        if self._environment_reports_success:
            # RLlib hands custom metrics on with the episode, from any worker, and smooths them as it does returns.
            episode.custom_metrics[SUCCESS] = sum(said) / len(said) if said else 0.0

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **kwargs: Any) -> None:
        """Put the success rate beside the return: before results are logged, RLlib lets callbacks change them."""
        _report(result.get("env_runners", {}), algorithm.config.metrics_num_episodes_for_smoothing)
        _report(result.get("evaluation", {}).get("env_runners", {}), 1)


def _report(env_runners: dict[str, Any], window: int) -> None:
    """Report the success rate as the new API stack does, if there are `window` episodes to judge by."""
    mean = env_runners.get("custom_metrics", {}).get(f"{SUCCESS}_mean")
    n_episodes = len(env_runners.get("hist_stats", {}).get("episode_reward", []))
    if mean is not None and n_episodes >= window:
        env_runners[SUCCESS_RATE] = float(mean)
