"""Put the pieces that keep states apart into the connector pipelines of a config, behind the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.connectors.common.add_states_from_episodes_to_batch import AddStatesFromEpisodesToBatch
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.module_to_env import ListifyDataForVectorEnv, NormalizeAndClipActions

from rllib_recattn.rl_module.extension import add_callback, pieces_of, remove_callback
from rllib_recattn.rl_module.rllib_internals.configs import Pipeline, connector_function, set_connector_function
from rllib_recattn.rl_module.sparse_states.callback import SparseStatesCallback
from rllib_recattn.rl_module.sparse_states.pieces import (
    AddKeptStatesToBatch,
    AddKeptStatesToTrainBatch,
    KeepStatesApart,
)

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


@dataclass(frozen=True)
class _StatesConnector:
    """A connector function for an RLlib config: the user's pieces, and one that keeps states apart.

    Where the user's pieces are all of a pipeline, because RLlib's default ones are switched off, ours takes the place
    that it has among the default ones.

    Attributes:
        user_function: The connector function that the config had before, if any.
    """

    user_function: Callable[..., Any] | None

    piece: ClassVar[type[ConnectorV2]]

    def __call__(self, *args: Any) -> list[ConnectorV2]:
        pieces = pieces_of(self.user_function, *args)
        if not any(isinstance(piece, self.piece) for piece in pieces):
            self._add_to(pieces)
        return pieces

    @classmethod
    def _add_to(cls, pieces: list[ConnectorV2]) -> None:
        for i, piece in enumerate(pieces):
            if type(piece) is AddStatesFromEpisodesToBatch:
                pieces[i] = cls.piece(in_place=True)
                return
        pieces.append(cls.piece())


class _EnvToModule(_StatesConnector):
    piece = AddKeptStatesToBatch


class _Learner(_StatesConnector):
    piece = AddKeptStatesToTrainBatch


class _ModuleToEnv(_StatesConnector):
    piece = KeepStatesApart

    @classmethod
    def _add_to(cls, pieces: list[ConnectorV2]) -> None:
        last_pieces = (NormalizeAndClipActions, ListifyDataForVectorEnv)
        ends = [i for i, piece in enumerate(pieces) if isinstance(piece, last_pieces)]
        pieces.insert(ends[0] if ends else len(pieces), cls.piece())


_CONNECTORS: dict[Pipeline, type[_StatesConnector]] = {
    "env_to_module_connector": _EnvToModule,
    "module_to_env_connector": _ModuleToEnv,
    "learner_connector": _Learner,
}


def keep_states_apart(config: ConfigT) -> ConfigT:
    """Have a config keep recurrent states apart from the columns of episodes; returns the config.

    Its connector functions are kept and their pieces come first. A callback watches over it; see
    :class:`~rllib_recattn.rl_module.sparse_states.callback.SparseStatesCallback`. Calling this again changes nothing.

    Functions that other parts of this package add have to be there before: pieces that come after ours find
    observations with a time dimension.
    """
    keep_states_in_columns(config)
    for pipeline, kind in _CONNECTORS.items():
        set_connector_function(config, pipeline, kind(connector_function(config, pipeline)))
    return add_callback(config, SparseStatesCallback)


def keep_states_in_columns(config: ConfigT) -> ConfigT:
    """Undo :func:`keep_states_apart`; returns the config."""
    for pipeline in _CONNECTORS:
        function = connector_function(config, pipeline)
        if isinstance(function, _StatesConnector):
            set_connector_function(config, pipeline, function.user_function)
    return remove_callback(config, SparseStatesCallback)
