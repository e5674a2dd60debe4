"""Add to what a config has already: callbacks and connector pieces beside the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.utils import force_list

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


def add_callback(config: ConfigT, callback: type[RLlibCallback]) -> ConfigT:
    """Add a callback to those that `config` has, unless it is one of them; returns the config."""
    callbacks = force_list(config.callbacks_class)
    if callback not in callbacks:
        config.callbacks(callbacks_class=[*callbacks, callback])
    return config


def remove_callback(config: ConfigT, callback: type[RLlibCallback]) -> ConfigT:
    """Undo :func:`add_callback`; returns the config."""
    callbacks = force_list(config.callbacks_class)
    if callback in callbacks:
        config.callbacks(callbacks_class=[each for each in callbacks if each is not callback])
    return config


def pieces_of(user_function: Callable[..., Any] | None, *args: Any) -> list[ConnectorV2]:
    """Return what a connector function of a config makes: RLlib takes a piece or a sequence of them."""
    pieces = user_function(*args) if user_function is not None else []
    return list(pieces) if isinstance(pieces, list | tuple) else [pieces]


def has_piece(pipeline: Any, piece: type) -> bool:
    """Whether a connector pipeline has a piece of that class, at whatever depth."""
    return any(isinstance(each, piece) or has_piece(each, piece) for each in getattr(pipeline, "connectors", []))
