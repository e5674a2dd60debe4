"""The success rate as an RLlib metric."""

from __future__ import annotations

import math
from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback

SUCCESS = "success"
SUCCESS_RATE = "success_rate"


class SuccessRateCallback(RLlibCallback):
    """Logs ``env_runners/success_rate``, for environments that report ``success`` in the last info of an episode.

    It is the mean over as many episodes as RLlib's own ``episode_return_mean``
    (``metrics_num_episodes_for_smoothing``). Environments that report no success get no such metric. Where an
    environment does, an episode that a wrapper such as Gymnasium's ``TimeLimit`` cut off, and that therefore says
    nothing of its success, counts as a failure: left out, it would make the rate look better than it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._environment_reports_success = False

    def on_episode_end(self, *, episode: Any, env_runner: Any, metrics_logger: Any, **kwargs: Any) -> None:
        """Log whether the episode that just ended was a success."""
        success = episode.get_infos(-1).get(SUCCESS)
        self._environment_reports_success |= success is not None
        if self._environment_reports_success:
            config = env_runner.config
            window = math.ceil(config.metrics_num_episodes_for_smoothing / max(1, config.num_env_runners))
            metrics_logger.log_value(SUCCESS_RATE, float(success or 0), reduce="mean", window=window)
