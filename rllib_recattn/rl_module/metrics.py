"""The success rate as an RLlib metric."""

from __future__ import annotations

import math
from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

from rllib_recattn.success import SUCCESS, SUCCESS_RATE


class SuccessRateCallback(RLlibCallback):
    """Logs ``env_runners/success_rate``, for environments that report ``success`` in the last info of an episode.

    It is the mean over as many episodes as RLlib's own ``episode_return_mean``
    (``metrics_num_episodes_for_smoothing``), and comes once there are that many: the share among the first two or
    three would end many a training as solved. Evaluation has its own number of episodes and does not wait.

    Environments that report no success get no such metric. Where an environment does, an episode that a wrapper such
    as Gymnasium's ``TimeLimit`` cut off, and that therefore says nothing of its success, counts as a failure: left
    out, it would make the rate look better than it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._environment_reports_success = False
        self._n_episodes = 0
        self._held_back: list[float] = []

    def on_episode_end(self, *, episode: Any, env_runner: Any, metrics_logger: Any, **kwargs: Any) -> None:
        """Log whether the episode that just ended was a success."""
        success = episode.get_infos(-1).get(SUCCESS)
        self._environment_reports_success |= success is not None
        if not self._environment_reports_success:
            return
        config = env_runner.config
        window = math.ceil(config.metrics_num_episodes_for_smoothing / max(1, config.num_env_runners))
        self._n_episodes += 1
        self._held_back.append(float(success or 0))
        if self._n_episodes >= window or config.in_evaluation:
            for value in self._held_back:
                metrics_logger.log_value(SUCCESS_RATE, value, reduce="mean", window=window)
            self._held_back.clear()
