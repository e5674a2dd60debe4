"""The agents of episodes, of one or many, and the modules that act for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

Episode: TypeAlias = SingleAgentEpisode | MultiAgentEpisode


def agent_episodes(
    episodes: Iterable[Episode], *, only_stepped: bool = False
) -> Iterator[tuple[Episode, SingleAgentEpisode]]:
    """Yield each episode with each of its agents' parts, in RLlib's order; single-agent ones with themselves.

    Args:
        episodes: The episodes.
        only_stepped: Leave out agents of multi-agent episodes that have no new observation.
    """
    for episode in episodes:
        if isinstance(episode, MultiAgentEpisode):
            for agent in episode.get_agents_that_stepped() if only_stepped else episode.agent_ids:
                yield episode, episode.agent_episodes[agent]
        else:
            yield episode, episode


def module_of(rl_module: RLModule, agent_episode: SingleAgentEpisode) -> RLModule:
    """Return the module that acts for an agent."""
    if not isinstance(rl_module, MultiRLModule):
        return rl_module
    if agent_episode.module_id is not None:
        return rl_module[agent_episode.module_id]
    return rl_module[DEFAULT_MODULE_ID]
