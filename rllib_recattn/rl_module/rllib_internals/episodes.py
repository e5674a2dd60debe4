"""What of episodes, of action distributions and of observation filters is not public."""

from __future__ import annotations

import copy
from typing import Any

from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from rllib_recattn.private_names import private, set_private

_FREE = "to free the chunks of episodes that never end"
_DISTRIBUTION = "to add up the log-probabilities of Tuple and Dict actions over time"


def set_custom_data(episode: SingleAgentEpisode | MultiAgentEpisode, data: dict[str, Any]) -> None:
    """Give an episode ``custom_data`` of its own: the property is public, but a copy shares the dict."""
    set_private(episode, "_custom_data", data, _FREE)


def let_go_of_last_step(episode: SingleAgentEpisode) -> None:
    """Let an agent's episode forget the observation and infos that were added last, which it keeps beside the rest."""
    for name in ("_last_added_observation", "_last_added_infos"):
        set_private(episode, name, None, _FREE)


def free_hanging(copied: MultiAgentEpisode, episode: MultiAgentEpisode) -> None:
    """Give a copy of an episode what hangs in it, as of agents whose turn is over, without what a module gave out."""
    set_private(copied, "_hanging_extra_model_outputs_end", {}, _FREE)
    for name in ("_hanging_actions_end", "_hanging_rewards_end", "_hanging_rewards_begin"):
        set_private(copied, name, copy.copy(private(episode, name, _FREE)), _FREE)


def flat_children(distribution: Any) -> list[Any]:
    """Return the distributions of the parts of a Tuple or Dict action, in the order of ``tree.flatten``."""
    children: list[Any] = private(distribution, "_flat_child_distributions", _DISTRIBUTION)
    return children


def nested_children(distribution: Any) -> Any:
    """Return the distributions of the parts of an action, nested like its space."""
    return private(distribution, "_original_struct", _DISTRIBUTION)


def freeze_filter(piece: Any) -> None:
    """Have a ``MeanStdFilter`` learn no more: only its constructor can be told."""
    set_private(piece, "_update_stats", False, "to evaluate agents with filters as they are")
