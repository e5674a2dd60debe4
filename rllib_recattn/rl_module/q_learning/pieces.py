"""The connector piece with which the learner's pipeline begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

SAMPLED = "recattn_sampled"
"""Where the episode of a sequence has what the replay buffer says of it, in its ``custom_data``."""

SEQUENCE = "sequence"
"""The column [B, T] of places in what was sampled."""

WEIGHTS = "weights"
"""The column [B, T] of the weights that make up for priorities."""


class Sampled(NamedTuple):
    """What a replay buffer says of a sequence.

    Attributes:
        position: Its place in what was sampled.
        weight: How much its loss counts.
    """

    position: int
    weight: float


class AddSequences(ConnectorV2):
    """Learner: tells which steps have a loss, where episodes end by themselves, and which sequence a step is of."""

    def __call__(self, *, batch: dict[str, Any], episodes: Sequence[Any], shared_data: Any, **kwargs: Any) -> Any:
        """Add the columns; the last step of each episode is there to bootstrap from."""
        for episode in episodes:
            n_steps = len(episode) - 1
            sampled: Sampled = episode.custom_data[SAMPLED]
            self._add(batch, Columns.LOSS_MASK, [True] * n_steps + [False], episode)
            ends = [False] * (n_steps - 1) + [bool(episode.is_terminated), False]
            self._add(batch, Columns.TERMINATEDS, ends, episode)
            self._add(batch, SEQUENCE, [sampled.position] * (n_steps + 1), episode)
            self._add(batch, WEIGHTS, [sampled.weight] * (n_steps + 1), episode)
        # RLlib's own piece that pads rows would add a mask in which all steps have a loss.
        shared_data["_added_loss_mask_for_valid_episode_ts"] = True
        return batch

    def _add(self, batch: dict[str, Any], column: str, items: list[Any], episode: SingleAgentEpisode) -> None:
        self.add_n_batch_items(batch, column, items, len(items), episode)
