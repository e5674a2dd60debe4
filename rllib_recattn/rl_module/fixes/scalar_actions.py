"""RLlib hands the actions of stateful modules to multi-agent environments as arrays without a dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import tree
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.module_to_env import RemoveSingleTsTimeRankFromBatch
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rllib_recattn.rl_module.episodes import Episode
from rllib_recattn.rl_module.extension import pieces_of
from rllib_recattn.rl_module.rllib_internals.configs import connector_function, set_connector_function

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


class ScalarActions(ConnectorV2):
    """Module-to-env: makes NumPy scalars, as feed-forward modules hand out, of arrays of shape ().

    ``RemoveSingleTsTimeRankFromBatch`` (connectors/module_to_env/remove_single_ts_time_rank_from_batch.py) takes the
    time dimension of 1 away with ``np.squeeze``, which leaves such an array of a Discrete action. It cannot be a key of
    a dict: ``rewards[actions["player1"], actions["player2"]]`` raises ``TypeError: unhashable type``. Environments of
    single agents do not meet it, since their actions are batched and taken apart again.
    """

    def __call__(
        self, *, batch: dict[str, Any], episodes: Sequence[Episode], shared_data: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Change the items of all columns but the states, which have no time dimension to be taken away."""
        if not episodes or not isinstance(episodes[0], MultiAgentEpisode):
            return batch
        for column, items_of_agents in batch.items():
            if column != Columns.STATE_OUT and isinstance(items_of_agents, dict):
                for items in items_of_agents.values():
                    if isinstance(items, list):
                        items[:] = [tree.map_structure(_scalar, item) for item in items]
        return batch


def _scalar(leaf: Any) -> Any:
    return leaf[()] if isinstance(leaf, np.ndarray) and leaf.ndim == 0 else leaf


@dataclass(frozen=True)
class _WithScalarActions:
    """A module-to-env connector function: the piece, as soon as the time dimension is gone, and the user's pieces."""

    user_function: Callable[..., Any] | None

    def __call__(self, *args: Any) -> list[ConnectorV2]:
        pieces = pieces_of(self.user_function, *args)
        # Among the user's pieces only where RLlib's default ones are switched off; else it came before them all.
        squeezes = [i + 1 for i, piece in enumerate(pieces) if isinstance(piece, RemoveSingleTsTimeRankFromBatch)]
        pieces.insert(squeezes[-1] if squeezes else 0, ScalarActions())
        return pieces


def hand_out_scalars(config: ConfigT, wanted: bool) -> ConfigT:
    """Have a config hand out scalar actions, or not; returns the config. Calling this again changes nothing."""
    function = connector_function(config, "module_to_env_connector")
    own = function.user_function if isinstance(function, _WithScalarActions) else function
    return set_connector_function(config, "module_to_env_connector", _WithScalarActions(own) if wanted else own)
