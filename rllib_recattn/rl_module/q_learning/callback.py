"""What recurrent Q-learning needs of RLlib outside its config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.q_learning.config import BUFFER, check_config, check_for_dqn
from rllib_recattn.rl_module.q_learning.module import RecAttnDQNModule
from rllib_recattn.rl_module.q_learning.replay import SequenceEpisodeReplayBuffer
from rllib_recattn.rl_module.q_learning.sequences import SequenceShape
from rllib_recattn.rl_module.recurrence import settings_in
from rllib_recattn.rl_module.rllib_internals.env_runners import sample_of_all
from rllib_recattn.rl_module.rllib_internals.sampling import wrap_sample


class QLearningCallback(RLlibCallback):
    """Checks the finished config, tells the replay buffer how to cut episodes, and EnvRunners which one they are."""

    def __init__(self) -> None:
        super().__init__()
        self._is_wrapped = False

    def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Check the config and prepare the replay buffer.

        Raises:
            SettingsError: If what came after ``use_model`` took away what DQN with memory needs, or cannot be done.
        """
        config, buffer = algorithm.config, algorithm.local_replay_buffer
        check_config(config, type(config).__name__)
        if not isinstance(buffer, SequenceEpisodeReplayBuffer):
            raise SettingsError(
                f"config.training(replay_buffer_config={{'type': …}}) came after use_model, which had chosen {BUFFER}; "
                "should be called before use_model, or leave the type out"
            )
        recurrence = settings_in(config.model_config)
        check_for_dqn(recurrence, type(config).__name__)
        shape = SequenceShape(recurrence.max_seq_len, recurrence.burn_in, config.episode_lookback_horizon)
        buffer.prepare(
            shape,
            seed=config.seed,
            least=config.num_steps_sampled_before_learning_starts,
            more=lambda: sample_of_all(algorithm),
        )

    def on_environment_created(self, *, env_runner: Any, **kwargs: Any) -> None:
        """Have the module of an EnvRunner know, before it samples, which of all environments are its own."""
        if not self._is_wrapped and isinstance(env_runner, SingleAgentEnvRunner):
            self._is_wrapped = True
            wrap_sample(env_runner, lambda sample: _with_place(env_runner, sample))


def _with_place(env_runner: Any, sample: Callable[..., Any]) -> Callable[..., Any]:
    def placed(**how: Any) -> Any:
        module = env_runner.module.unwrapped() if env_runner.module is not None else None
        if isinstance(module, RecAttnDQNModule):
            n_runners = max(1, env_runner.config.num_env_runners)
            first = max(0, (env_runner.worker_index or 0) - 1) * env_runner.num_envs
            module.environments = (first, n_runners * env_runner.num_envs)
        return sample(**how)

    return placed
