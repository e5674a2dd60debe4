"""Playing episodes with an agent of RLlib's old API stack."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import torch
from ray.rllib.policy.policy import Policy
from ray.rllib.utils.policy import local_policy_inference

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.checkpoints.environment import name_of_env
from rllib_recattn.experiment.evaluation.episode import EpisodeResult
from rllib_recattn.experiment.evaluation.video import VideoRecorder
from rllib_recattn.model_v2 import register_model_v2
from rllib_recattn.success import SUCCESS

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

_ENV_ID = "evaluation"


class OldStackPlayer:
    """An agent and its environment; RLlib's agent connectors carry its states and views from step to step.

    Args:
        checkpoint: The agent's checkpoint.
        config: The config of the algorithm that trained it.
    """

    def __init__(self, checkpoint: Path, config: AlgorithmConfig):
        register_model_v2()
        self._config = config
        self._policy = Policy.from_checkpoint(str(checkpoint / "policies" / "default_policy"))
        self._env = self._make_env(config.env_config)
        self._video: VideoRecorder | None = None

    def _make_env(self, env_config: dict[str, Any]) -> gymnasium.Env[Any, Any]:
        env = self._config.env
        return gymnasium.make(env, **env_config) if isinstance(env, str) else env(dict(env_config))

    def film(self, video: VideoRecorder) -> float:
        """Have the frames of all episodes recorded; returns how many a second the environment is made for.

        Raises:
            SettingsError: If the environment cannot be filmed.
        """
        if "rgb_array" in (self._env.metadata.get("render_modes") or ()) and isinstance(self._config.env, str):
            try:
                drawing = self._make_env({**self._config.env_config, "render_mode": "rgb_array"})
            except Exception as error:  # whatever a foreign environment raises
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                raise SettingsError(
                    f"video: the environment does not take render_mode = 'rgb_array': {reason}"
                ) from error
            self._env.close()
            self._env = drawing
        if self._env.render_mode != "rgb_array":
            raise SettingsError(
                f"video: the environment {name_of_env(self._config)} has no render_mode 'rgb_array' to be filmed in"
            )
        self._video = video
        return self._env.metadata.get("render_fps") or 10

    def play(self, seed: int, explore: bool) -> EpisodeResult:
        """Play one episode, which the seed determines."""
        torch.manual_seed(seed)
        self._policy.agent_connectors.reset(env_id=_ENV_ID)
        obs, info = self._env.reset(seed=seed)
        said: dict[str, Any] = {}
        episode_return, length, ended = 0.0, 0, False
        while not ended:
            self._capture()
            # A copy: the collector keeps what it is given, and an environment may write into its observations.
            ((action, *_),) = local_policy_inference(
                self._policy, _ENV_ID, "agent", copy.deepcopy(obs), info=info, explore=explore, **said
            )
            obs, reward, terminated, truncated, info = self._env.step(action)
            said = {"reward": float(reward), "terminated": terminated, "truncated": truncated}
            episode_return, length, ended = episode_return + float(reward), length + 1, terminated or truncated
        self._capture()
        success = info.get(SUCCESS)
        return EpisodeResult(seed, episode_return, length, None if success is None else bool(success))

    def _capture(self) -> None:
        if self._video is not None:
            self._video.add(self._env.render)

    def stop(self) -> None:
        """Close the environment."""
        self._env.close()
