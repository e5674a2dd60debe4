"""Put the pieces for the previous action and reward, and for action masks, into the connectors of a config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.connectors.common.add_observations_from_episodes_to_batch import AddObservationsFromEpisodesToBatch
from ray.rllib.connectors.common.add_time_dim_to_batch_and_zero_pad import AddTimeDimToBatchAndZeroPad
from ray.rllib.connectors.connector_v2 import ConnectorV2

from rllib_recattn.rl_module.extension import add_callback, pieces_of
from rllib_recattn.rl_module.inputs.callback import PreviousInputsCallback
from rllib_recattn.rl_module.inputs.mask_check import ActionMaskCheck, name_of_env
from rllib_recattn.rl_module.inputs.pieces import PreviousInputsToModule, PreviousInputsToTrainBatch
from rllib_recattn.rl_module.rllib_internals.configs import Pipeline, connector_function, set_connector_function

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


def add_previous_inputs(config: ConfigT) -> ConfigT:
    """Have a config give its modules the previous action and reward; returns the config.

    Its connector functions are kept and their pieces come first. Nothing happens to modules whose ``model_config``
    asks for neither. Calling this again changes nothing.
    """
    pieces: dict[Pipeline, type[ConnectorV2]] = {
        "env_to_module_connector": PreviousInputsToModule,
        "learner_connector": PreviousInputsToTrainBatch,
    }
    for pipeline, piece in pieces.items():
        set_connector_function(config, pipeline, _WithPiece.of(connector_function(config, pipeline), piece, piece))
    return add_callback(config, PreviousInputsCallback)


def check_masks_before_acting(config: ConfigT) -> ConfigT:
    """Have a config refuse to act where an action mask allows nothing; returns the config.

    Nothing happens to modules without a mask. Calling this again changes nothing.
    """
    function = connector_function(config, "env_to_module_connector")
    function = _WithPiece.of(function, partial(ActionMaskCheck, env=name_of_env(config)), ActionMaskCheck)
    return set_connector_function(config, "env_to_module_connector", function)


@dataclass(frozen=True)
class _WithPiece:
    """A connector function of a config: the user's pieces and one of ours.

    Where the user's pieces are all of a pipeline, because RLlib's default ones are switched off, ours takes the place
    that it has otherwise: before the default ones.
    """

    user_function: Callable[..., Any] | None
    make: Callable[[], ConnectorV2]
    piece: type[ConnectorV2]

    @classmethod
    def of(
        cls, function: Callable[..., Any] | None, make: Callable[[], ConnectorV2], piece: type[ConnectorV2]
    ) -> Callable[..., Any]:
        inside = function
        while isinstance(inside, cls):
            if inside.piece is piece:
                assert function is not None
                return function
            inside = inside.user_function
        return cls(function, make, piece)

    def __call__(self, *args: Any) -> list[ConnectorV2]:
        pieces = pieces_of(self.user_function, *args)
        default = [index for index, each in enumerate(pieces) if isinstance(each, _FIRST_DEFAULT_PIECES)]
        pieces.insert(default[0] if default else len(pieces), self.make())
        return pieces


_FIRST_DEFAULT_PIECES = (AddObservationsFromEpisodesToBatch, AddTimeDimToBatchAndZeroPad)
