"""RLlib's ``MeanStdFilter`` of observations, before all other connectors, and frozen while an agent is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import gymnasium
import numpy as np
import tree
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.utils.spaces.space_utils import get_base_struct_from_space

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.extension import add_callback, pieces_of
from rllib_recattn.rl_module.rllib_internals.configs import connector_function
from rllib_recattn.rl_module.rllib_internals.env_runners import env_to_module
from rllib_recattn.rl_module.rllib_internals.episodes import freeze_filter

ConfigT = TypeVar("ConfigT", bound=AlgorithmConfig)


def filter_observations(config: ConfigT) -> ConfigT:
    """Have a config normalise observations by the mean and the standard deviation of those seen so far.

    Its own connector function is kept, and its pieces come behind the filter. What the filter has learnt is in
    checkpoints, is shared by all EnvRunners, and stays as it is while the agent is evaluated.

    Args:
        config: A config on the new API stack. Changed in place; call this before ``use_model``.

    Returns:
        `config`, for chaining.
    """
    own = connector_function(config, "env_to_module_connector")
    config.env_runners(env_to_module_connector=_Filtered(own, config.is_multi_agent))
    return add_callback(config, FilterInEvaluationCallback)


def check_filtered_space(space: gymnasium.Space[Any], where: str) -> None:
    """Refuse a space whose numbers the filter cannot put normalised ones in the place of.

    Raises:
        SettingsError: If a part of it is a Box of whole numbers, such as of pictures.
    """
    for part in tree.flatten(get_base_struct_from_space(space)):
        if isinstance(part, gymnasium.spaces.Box) and not np.issubdtype(part.dtype, np.floating):
            raise SettingsError(
                f"{where}: observation_filter = 'MeanStdFilter': the observation space has a part of {part.dtype}, in "
                "which normalised numbers cannot be written; encoders scale pictures by themselves"
            )


def check_no_filter(config: AlgorithmConfig, action_mask: str) -> None:
    """Refuse a filter beside an action mask, whose zeros and ones it would make other numbers of.

    Raises:
        SettingsError: If the config has one.
    """
    function: Any = connector_function(config, "env_to_module_connector")
    while function is not None:
        if isinstance(function, _Filtered):
            raise SettingsError(
                f"use_model: action_mask = {action_mask!r}: observation_filter = 'MeanStdFilter' would normalise the "
                "mask as well; should be left out, or be done to the other observations in a Gymnasium wrapper"
            )
        function = getattr(function, "user_function", None)


def freeze_filters(env_runner: Any) -> None:
    """Have the filters of an EnvRunner learn no more."""
    for each in _filters(env_runner):
        freeze_filter(each)


def _filters(env_runner: Any) -> list[MeanStdFilter]:
    pieces = getattr(env_to_module(env_runner), "connectors", [])
    return [piece for piece in pieces if isinstance(piece, MeanStdFilter)]


class FilterInEvaluationCallback(RLlibCallback):
    """Has agents be evaluated with what the filter has learnt in training, and learn nothing there."""

    def on_evaluate_start(self, *, algorithm: Any, **kwargs: Any) -> None:
        """Tell an EnvRunner what the filter has learnt that evaluates in the algorithm's own process.

        RLlib tells only those in processes of their own (env/env_runner_group.py, ``sync_env_runner_states``).
        """
        learnt, evaluates = algorithm.env_runner, algorithm.eval_env_runner_group.local_env_runner
        if learnt is None or evaluates is None:
            return
        for source, target in zip(_filters(learnt), _filters(evaluates), strict=True):
            target.set_state(source.get_state())

    def on_episode_created(self, *, env_runner: Any = None, **kwargs: Any) -> None:
        """Freeze the filters of EnvRunners that evaluate, before they see anything."""
        if env_runner is not None and env_runner.config.in_evaluation:
            freeze_filters(env_runner)


@dataclass(frozen=True)
class _Filtered:
    """A connector function: the filter, and the user's pieces."""

    user_function: Callable[..., Any] | None
    multi_agent: bool

    def __call__(self, *args: Any) -> list[ConnectorV2]:
        return [MeanStdFilter(multi_agent=self.multi_agent), *pieces_of(self.user_function, *args)]
