"""Has EnvRunners sample all their environments in one batch where that can be, and says whether they do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.private_names import MissingNameError
from rllib_recattn.rl_module.acting_mode import acting
from rllib_recattn.rl_module.lean_sampling.reasons import calls_users, why_not, why_not_now
from rllib_recattn.rl_module.lean_sampling.sampler import LeanSampler
from rllib_recattn.rl_module.rllib_internals.sampling import wrap_sample

LEAN_SAMPLING = "lean_sampling"
"""The metric ``env_runners/lean_sampling``: 1 if the last samples were taken in one batch, 0 if in RLlib's way."""

# Below RLlib's, so that `config.debugging(log_level="INFO")` shows it in all processes.
_logger = logging.getLogger("ray.rllib.lean_sampling")

Sample = Callable[..., list[SingleAgentEpisode]]


class LeanSamplingCallback(RLlibCallback):
    """Lets an EnvRunner sample in one batch, asking each time whether it can; else it samples in RLlib's way.

    Where it cannot, the reason is logged, as information, when it is a new one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_wrapped = False
        self._reason: str | None = "it is none of RLlib's"

    def on_environment_created(self, *, env_runner: Any, **kwargs: Any) -> None:
        """Stand before RLlib's way to sample, once: an environment may be made again."""
        if not self._is_wrapped and isinstance(env_runner, SingleAgentEnvRunner | MultiAgentEnvRunner):
            self._is_wrapped = True
            with suppress(MissingNameError):  # which `why_not` says
                wrap_sample(env_runner, lambda sample: self._either_way(env_runner, sample))

    def on_sample_end(self, *, env_runner: Any, metrics_logger: Any, **kwargs: Any) -> None:
        """Log which way was taken."""
        metrics_logger.log_value(LEAN_SAMPLING, float(self._reason is None), window=1)

    def _either_way(self, env_runner: Any, rllibs: Sample) -> Sample:
        def sample(*, explore: bool, random_actions: bool = False, **how: Any) -> list[SingleAgentEpisode]:
            reason = (
                "actions are to be random" if random_actions else why_not(env_runner) or why_not_now(env_runner, **how)
            )
            self._note(reason)
            with acting(env_runner.module):
                if reason is not None:
                    return rllibs(explore=explore, random_actions=random_actions, **how)
                lean = LeanSampler(
                    env_runner,
                    explore=explore,
                    starts_may_change=calls_users(env_runner, "on_episode_start"),
                    episodes_as_lists=calls_users(env_runner, "on_episode_end"),
                )
                return lean.sample(**how)

        return sample

    def _note(self, reason: str | None) -> None:
        if reason not in (None, self._reason):
            _logger.info("An EnvRunner samples in RLlib's way, not all environments in one batch: %s.", reason)
        self._reason = reason
