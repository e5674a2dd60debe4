"""Connector pieces that give modules the previous action and the previous reward.

RLlib's own piece, ``PrevActionsPrevRewards``, takes Discrete actions only and rewrites the observations. These write a
column of their own, so that they get on with whatever else is done to observations, from normalisation to flattening.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
from ray.rllib.connectors.common.add_observations_from_episodes_to_batch import AddObservationsFromEpisodesToBatch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.utils.spaces.space_utils import batch as batch_items

from rllib_recattn.errors import SettingsError
from rllib_recattn.inputs.input_settings import INPUTS_KEY, InputSettings
from rllib_recattn.inputs.previous import PREVIOUS, PreviousInputs
from rllib_recattn.rl_module.episodes import Episode, agent_episodes, module_of

# Where an episode's `custom_data`, which `cut()` hands on, keeps what an agent was given at the first and at the
# newest step of a chunk. RLlib's lookback is counted in steps of the environment: that of an agent that did not act in
# the last of them is empty.
KEY = "recattn_previous_inputs"


class _PreviousInputsPiece(ConnectorV2):
    """What both pieces have in common.

    RLlib's default piece for observations is called first, and does nothing when its turn comes. For RLlib takes the
    first column of a batch for a list of all that act (`AgentToModuleMapping`), which this one is not where some
    modules do without it; and tells chunks of one episode apart by ids that only that piece makes different.
    """

    in_learner: ClassVar[bool]

    def __init__(self, input_observation_space: Any = None, input_action_space: Any = None, **kwargs: Any):
        super().__init__(input_observation_space, input_action_space, **kwargs)
        self._add_observations = AddObservationsFromEpisodesToBatch(as_learner_connector=self.in_learner)
        self._by_module: dict[str | None, PreviousInputs | None] = {}

    def __call__(
        self, *, rl_module: RLModule | None, batch: dict[str, Any], episodes: list[Any], **kwargs: Any
    ) -> dict[str, Any]:
        """Add the column."""
        if rl_module is not None:
            batch = self._add_observations(rl_module=rl_module, batch=batch, episodes=episodes, **kwargs)
            self._add_previous(rl_module, batch, episodes)
        return batch

    @abstractmethod
    def _add_previous(self, rl_module: RLModule, batch: dict[str, Any], episodes: list[Any]) -> None:
        """Add the column to a batch that has the observations."""

    def _encoder_of(self, rl_module: RLModule, episode: SingleAgentEpisode) -> PreviousInputs | None:
        if episode.module_id not in self._by_module:
            self._by_module[episode.module_id] = previous_inputs_of(module_of(rl_module, episode))
        return self._by_module[episode.module_id]


class PreviousInputsToModule(_PreviousInputsPiece):
    """Env-to-module: the last action and reward of each agent that is about to act."""

    in_learner = False

    def _add_previous(self, rl_module: RLModule, batch: dict[str, Any], episodes: list[Any]) -> None:
        acting = defaultdict(list)
        for episode, agent_episode in agent_episodes(episodes, only_stepped=True):
            acting[agent_episode.module_id].append((episode, agent_episode))
        for together in acting.values():
            previous = self._encoder_of(rl_module, together[0][1])
            if previous is None:
                continue
            rows = _newest([agent_episode for _, agent_episode in together], previous)
            for (episode, agent_episode), row in zip(together, rows, strict=True):
                self.add_batch_item(batch, PREVIOUS, row, agent_episode)
                keep_row(episode, agent_episode, row)


class PreviousInputsToTrainBatch(_PreviousInputsPiece):
    """Learner: the action and reward before each step of the episodes, the first step of a chunk included."""

    in_learner = True

    def _add_previous(self, rl_module: RLModule, batch: dict[str, Any], episodes: list[Any]) -> None:
        for episode, agent_episode in agent_episodes(episodes):
            previous = self._encoder_of(rl_module, agent_episode)
            if previous is not None and len(agent_episode):
                rows = np.concatenate(
                    [
                        _first(episode, agent_episode, previous),
                        _encode(agent_episode, previous, 0, len(agent_episode) - 1),
                    ]
                )
                self.add_n_batch_items(batch, PREVIOUS, rows, len(rows), agent_episode)


def _newest(episodes: list[SingleAgentEpisode], previous: PreviousInputs) -> np.ndarray:
    """Return [number of episodes, size], encoded at once: NumPy's calls cost more than what they do."""
    rows = np.zeros((len(episodes), previous.size), np.float32)
    begun = [index for index, episode in enumerate(episodes) if episode.t > 0]
    if begun:
        actions = batch_items([episodes[index].get_actions(-1) for index in begun])
        rewards = [episodes[index].get_rewards(-1) for index in begun]
        rows[begun] = previous.encode(actions, rewards, len(begun))
    return rows


def _first(episode: Episode, agent_episode: SingleAgentEpisode, previous: PreviousInputs) -> np.ndarray:
    """Return [1, size], what an agent was given at the first step of a chunk.

    Raises:
        SettingsError: If nothing tells.
    """
    if agent_episode.t_started == 0:
        return np.zeros((1, previous.size), np.float32)
    for t, row in episode.custom_data.get(KEY, {}).get(str(agent_episode.agent_id), []):
        if t == agent_episode.t_started:
            return row[None]
    if agent_episode.actions.lookback:  # slices of an episode lose custom_data
        return _encode(agent_episode, previous, -1, 0)
    raise SettingsError(
        "use_prev_action and use_prev_reward: a chunk of an episode has no lookback to the step before it; should have "
        "config.env_runners(episode_lookback_horizon=1) or more"
    )


def _encode(episode: SingleAgentEpisode, previous: PreviousInputs, start: int, stop: int) -> np.ndarray:
    """Return [stop − start, size], the actions and rewards of some steps of a chunk; −1 is the one before it."""
    if start == stop:
        return np.zeros((0, previous.size), np.float32)
    actions = episode.get_actions(slice(start, stop), neg_index_as_lookback=True)
    rewards = episode.get_rewards(slice(start, stop), neg_index_as_lookback=True)
    if not episode.is_numpy:
        actions = batch_items(actions)
    return previous.encode(actions, rewards, stop - start)


def keep_row(episode: Episode, agent_episode: SingleAgentEpisode, row: np.ndarray) -> None:
    """Note in an episode what an agent is given at its next step, and forget all but that and its chunk's first."""
    kept = episode.custom_data.setdefault(KEY, {})
    agent, t, t_started = str(agent_episode.agent_id), agent_episode.t, agent_episode.t_started
    kept[agent] = [[step, first] for step, first in kept.get(agent, []) if step == t_started != t] + [[t, row]]


def previous_inputs_of(module: RLModule) -> PreviousInputs | None:
    """Return what encodes the previous action and reward for a module; None for one that does not read them."""
    model_config = module.unwrapped().model_config
    settings = model_config.get(INPUTS_KEY) if isinstance(model_config, dict) else None
    previous = PreviousInputs(module.unwrapped().action_space, InputSettings(**(settings or {})))
    return previous if previous.size else None
