"""Chunks of unfinished episodes without what makes them large."""

from __future__ import annotations

import copy
from typing import Any, NoReturn

import numpy as np
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.episodes import Episode
from rllib_recattn.rl_module.rllib_internals.episodes import free_hanging, let_go_of_last_step, set_custom_data
from rllib_recattn.rl_module.sparse_states.kept_states import KEY


class FreedChunk:
    """A chunk of an episode that has been sampled, without its observations and what the module gave out for them.

    Rewards, actions, infos, lengths, duration and the user's own ``custom_data`` are those of the chunk.
    """

    __slots__ = ()

    def get_observations(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise SettingsError: they are gone."""
        _are_gone("observations")

    def get_extra_model_outputs(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise SettingsError: they are gone."""
        _are_gone("extra model outputs")


class FreedSingleAgentChunk(FreedChunk, SingleAgentEpisode):
    """A chunk of one agent's episode, or one agent's part in a chunk of several agents' episode."""

    __slots__ = ()


class FreedMultiAgentChunk(FreedChunk, MultiAgentEpisode):
    """A chunk of several agents' episode."""

    __slots__ = ()


def freed(chunk: Episode) -> Episode:
    """Return what stays of a chunk; the chunk itself, which is on its way to the learner, is as it was."""
    if isinstance(chunk, FreedChunk):
        return chunk
    stays = copy.copy(chunk)
    set_custom_data(stays, {key: it for key, it in chunk.custom_data.items() if key != KEY})
    if isinstance(chunk, MultiAgentEpisode):
        stays.__class__ = FreedMultiAgentChunk
        stays.agent_episodes = {agent: freed(part) for agent, part in chunk.agent_episodes.items()}
        stays.env_t_to_agent_t = {agent: _copied(steps) for agent, steps in chunk.env_t_to_agent_t.items()}
        free_hanging(stays, chunk)
        return stays
    stays.__class__ = FreedSingleAgentChunk
    stays.observations = InfiniteLookbackBuffer()
    stays.observations.lookback = chunk.observations.lookback  # by which RLlib finds an agent's actions and rewards
    stays.extra_model_outputs = {}
    let_go_of_last_step(stays)
    for name in ("rewards", "actions", "infos"):
        setattr(stays, name, _copied(getattr(chunk, name)))
    return stays


def _copied(buffer: InfiniteLookbackBuffer) -> InfiniteLookbackBuffer:
    # A learner in the same process appends to the buffers of the chunk.
    copied = copy.copy(buffer)
    copied.data = buffer.data.copy() if isinstance(buffer.data, np.ndarray) else copy.copy(buffer.data)
    return copied


def _are_gone(what: str) -> NoReturn:
    raise SettingsError(
        f"prev_episode_chunks: the {what} of a chunk that was sampled are not kept, which would take as much memory as "
        "the episode is long; rewards, actions, infos and lengths are. Should be gathered in on_episode_step, or be "
        "used with use_model(…, sparse_states=False), which keeps all"
    )
