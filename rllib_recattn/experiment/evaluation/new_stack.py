"""Playing episodes with an agent of RLlib's new API stack."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils import force_list

from rllib_recattn.checkpoint_files import reading
from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.checkpoint import module_directory
from rllib_recattn.experiment.checkpoints.environment import name_of_env
from rllib_recattn.experiment.evaluation.episode import EpisodeResult
from rllib_recattn.experiment.evaluation.video import Frames
from rllib_recattn.rl_module.observation_filter import freeze_filters
from rllib_recattn.rl_module.rllib_internals.env_runners import set_seed
from rllib_recattn.success import SUCCESS

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

# Where a checkpoint keeps the state of connectors; algorithms that learn from recorded episodes only evaluate.
_CONNECTORS = ("env_runner", "eval_env_runner")


class NewStackPlayer:
    """An agent, or several, and their environment.

    Args:
        checkpoint: The agent's checkpoint.
        config: The config of the algorithm that trained it; changed.
    """

    def __init__(self, checkpoint: Path, config: AlgorithmConfig):
        config.env_runners(num_env_runners=0, num_envs_per_env_runner=1, gym_env_vectorize_mode="sync")
        self._is_multi_agent = config.is_multi_agent
        self._env_runner = (MultiAgentEnvRunner if self._is_multi_agent else SingleAgentEnvRunner)(config=config)
        with reading(checkpoint):
            for name in _CONNECTORS:
                if (checkpoint / name).is_dir():
                    self._env_runner.restore_from_path(checkpoint / name)
                    break
            self._env_runner.module.restore_from_path(module_directory(checkpoint, config.is_multi_agent))
        freeze_filters(self._env_runner)
        # Pickled, since connectors hand out the very objects that they go on to change.
        self._connectors = pickle.dumps(self._env_runner.get_state(not_components="rl_module"))

    def film(self, video: Frames) -> float:
        """Have the frames of all episodes recorded; returns how many a second the environment is made for.

        Raises:
            SettingsError: If the environment cannot be filmed.
        """
        if self._is_multi_agent:
            raise SettingsError("video: only single agents can be filmed")
        # The EnvRunner's own config: it has made a deep copy of the one that it was given.
        config, env = self._env_runner.config, self._env_runner.env
        if "rgb_array" in (env.metadata.get("render_modes") or ()):
            self._make_env_to_draw(config)
        if self._env_runner.env.unwrapped.render_mode != "rgb_array":
            env_name = name_of_env(config)
            raise SettingsError(f"video: the environment {env_name} has no render_mode 'rgb_array' to be filmed in")
        config.callbacks(
            on_episode_start=[*force_list(config.callbacks_on_episode_start), video.capture],
            on_episode_step=[*force_list(config.callbacks_on_episode_step), video.capture],
        )
        return self._env_runner.env.metadata.get("render_fps") or 10

    def _make_env_to_draw(self, config: AlgorithmConfig) -> None:
        plain = dict(config.env_config)
        config.environment(env_config={**plain, "render_mode": "rgb_array"})
        try:
            self._env_runner.make_env()
        except Exception as error:  # whatever a foreign environment raises
            config.env_config = plain  # `environment` would merge them
            self._env_runner.make_env()
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SettingsError(f"video: the environment does not take render_mode = 'rgb_array': {reason}") from error

    @property
    def module(self) -> Any:
        """The RLModule that acts, which lacks what only training needs."""
        return self._env_runner.module

    def sample(
        self, seed: int, explore: bool, *, random_actions: bool = False
    ) -> SingleAgentEpisode | MultiAgentEpisode:
        """Play one episode, which the seed determines, and return all of it."""
        self._env_runner.set_state(pickle.loads(self._connectors))
        # The EnvRunner resets its environment with this seed whenever it is asked for whole episodes.
        set_seed(self._env_runner, seed)
        torch.manual_seed(seed)
        if random_actions:
            self._env_runner.env.action_space.seed(seed)
        (episode,) = self._env_runner.sample(num_episodes=1, explore=explore, random_actions=random_actions)
        self._env_runner.get_metrics()  # which lets go of the episode: it is kept for metrics until they are read
        return episode

    def play(self, seed: int, explore: bool) -> EpisodeResult:
        """Play one episode, which the seed determines."""
        episode = self.sample(seed, explore)
        if self._is_multi_agent:
            return _result_of_several(seed, episode)
        success = episode.get_infos(-1).get(SUCCESS)
        return EpisodeResult(
            seed=seed,
            episode_return=float(episode.get_return()),
            length=len(episode),
            success=None if success is None else bool(success),
        )

    def stop(self) -> None:
        """Close the environment."""
        self._env_runner.stop()


def _result_of_several(seed: int, episode: MultiAgentEpisode) -> EpisodeResult:
    agents = {str(agent): float(each.get_return()) for agent, each in episode.agent_episodes.items()}
    policies: dict[str, float] = {}
    for each in episode.agent_episodes.values():
        policies[each.module_id] = policies.get(each.module_id, 0.0) + float(each.get_return())
    return EpisodeResult(
        seed=seed,
        episode_return=sum(agents.values()),
        length=len(episode),
        success=None,
        agent_returns=dict(sorted(agents.items())),
        policy_returns=dict(sorted(policies.items())),
    )
