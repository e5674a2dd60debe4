"""What the connectors of a checkpoint do to observations and actions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.connectors.common.add_observations_from_episodes_to_batch import AddObservationsFromEpisodesToBatch
from ray.rllib.connectors.common.add_states_from_episodes_to_batch import AddStatesFromEpisodesToBatch
from ray.rllib.connectors.common.add_time_dim_to_batch_and_zero_pad import AddTimeDimToBatchAndZeroPad
from ray.rllib.connectors.common.agent_to_module_mapping import AgentToModuleMapping
from ray.rllib.connectors.common.batch_individual_items import BatchIndividualItems
from ray.rllib.connectors.common.module_to_agent_unmapping import ModuleToAgentUnmapping
from ray.rllib.connectors.common.numpy_to_tensor import NumpyToTensor
from ray.rllib.connectors.common.tensor_to_numpy import TensorToNumpy
from ray.rllib.connectors.connector_pipeline_v2 import ConnectorPipelineV2
from ray.rllib.connectors.env_to_module.mean_std_filter import MeanStdFilter
from ray.rllib.connectors.module_to_env.get_actions import GetActions
from ray.rllib.connectors.module_to_env.listify_data_for_vector_env import ListifyDataForVectorEnv
from ray.rllib.connectors.module_to_env.normalize_and_clip_actions import NormalizeAndClipActions
from ray.rllib.connectors.module_to_env.remove_single_ts_time_rank_from_batch import RemoveSingleTsTimeRankFromBatch
from ray.rllib.connectors.module_to_env.unbatch_to_individual_items import UnBatchToIndividualItems
from torch import Tensor

from rllib_recattn.agents.nesting import leaves_in_rllibs_order
from rllib_recattn.agents.network import filtered_leaves
from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.rllib_internals.configs import Pipeline, connector_function

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

# Where a checkpoint keeps the state of connectors; algorithms that learn from recorded episodes only evaluate.
_PLACES = ("env_runner", "eval_env_runner")
# They bring observations into a batch and actions out of it, and leave both as they are.
_HARMLESS = (
    AddObservationsFromEpisodesToBatch,
    AddStatesFromEpisodesToBatch,
    AddTimeDimToBatchAndZeroPad,
    AgentToModuleMapping,
    BatchIndividualItems,
    GetActions,
    ListifyDataForVectorEnv,
    ModuleToAgentUnmapping,
    NumpyToTensor,
    RemoveSingleTsTimeRankFromBatch,
    TensorToNumpy,
    UnBatchToIndividualItems,
)


@dataclass(frozen=True)
class Connectors:
    """What connectors do.

    Attributes:
        normalize_actions: RLlib's setting of that name.
        clip_actions: Likewise.
        observation_space: What the environment gives; None: nothing tells, or there are several agents.
        filter_weights: The statistics of a filter of observations, by their names in :class:`ActingNetwork`.
        filter_limit: How far it lets numbers be from 0; None: any.
    """

    normalize_actions: bool
    clip_actions: bool
    observation_space: gym.Space | None = None
    filter_weights: dict[str, Tensor] | None = None
    filter_limit: float | None = None


def read_connectors(checkpoint: Path, config: AlgorithmConfig, where: str) -> Connectors:
    """Find out what the connectors of a checkpoint do.

    Args:
        checkpoint: The checkpoint's directory.
        config: The config in it.
        where: What it is, for error messages.

    Raises:
        SettingsError: If one of them may change what an agent sees or does, and is none that is known.
    """
    folder = next((checkpoint / place for place in _PLACES if (checkpoint / place).is_dir()), None)
    if folder is None or not (folder / "env_to_module_connector").is_dir():
        return _of_config(config, where)
    to_module = ConnectorPipelineV2.from_checkpoint(str(folder / "env_to_module_connector"))
    to_env = ConnectorPipelineV2.from_checkpoint(str(folder / "module_to_env_connector"))
    filters, scaling = [], []
    for piece in (*to_module.connectors, *to_env.connectors):
        if type(piece) is MeanStdFilter:
            filters.append(piece)
        elif type(piece) is NormalizeAndClipActions:
            scaling.append(piece)
        elif type(piece) not in _HARMLESS and not type(piece).__module__.startswith("rllib_recattn.rl_module."):
            raise SettingsError(_refusal(where, f"{type(piece).__module__}.{type(piece).__qualname__}"))
    if len(filters) > 1 or len(scaling) > 1 or (filters and config.is_multi_agent):
        why = "several agents" if config.is_multi_agent else "one more than once"
        raise SettingsError(f"{where}: has a filter of observations, or a scaling of actions, of {why}: not supported")
    if not scaling and config.add_default_connectors_to_module_to_env_pipeline:
        raise SettingsError(
            f"{where}: cannot be read: module_to_env_connector lacks NormalizeAndClipActions, with which it was trained"
        )
    if not filters and _has_filter(config):
        raise SettingsError(f"{where}: cannot be read: env_to_module_connector lacks the MeanStdFilter of its config")
    normalize = any(piece.normalize_actions for piece in scaling)
    clip = any(piece.clip_actions for piece in scaling)
    if config.is_multi_agent:
        return Connectors(normalize, clip)
    space = to_module.input_observation_space
    if not filters:
        return Connectors(normalize, clip, space)
    return Connectors(normalize, clip, space, *_statistics(filters[0], space, where))


def _has_filter(config: AlgorithmConfig) -> bool:
    function = connector_function(config, "env_to_module_connector")
    while function is not None and type(function).__module__.startswith("rllib_recattn.rl_module."):
        if type(function).__module__.endswith(".observation_filter"):
            return True
        function = function.user_function
    return False


def _statistics(piece: MeanStdFilter, space: gym.Space, where: str) -> tuple[dict[str, Tensor], float | None]:
    from ray.rllib.utils.filter import RunningStat

    (state,) = piece.get_state().values()
    filtered = dict(filtered_leaves(space))
    if any(not np.issubdtype(leaf.dtype, np.floating) for leaf in filtered.values()):
        raise SettingsError(f"{where}: its filter normalises whole numbers, which is not supported")
    # There are some of choices as well, which are not normalised.
    stats = dict(zip(dict(leaves_in_rllibs_order(space)), state["running_stats"], strict=True))
    weights = {}
    for index, (path, leaf) in enumerate(filtered.items()):
        each = RunningStat.from_state(stats[path])
        shape = leaf.shape or ()
        mean = np.asarray(each.mean, np.float64).reshape(shape) if state["de_mean_to_zero"] else np.zeros(shape)
        weights[f"filters.{index}.mean"] = torch.from_numpy(np.array(mean))
        if not state["de_std_to_one"]:
            raise SettingsError(f"{where}: its filter does not divide by standard deviations, which is not supported")
        weights[f"filters.{index}.std"] = torch.from_numpy(np.array(each.std, np.float64).reshape(shape))
    return weights, float(state["clip_by_value"]) if state["clip_by_value"] else None


def _of_config(config: AlgorithmConfig, where: str) -> Connectors:
    pipelines: tuple[Pipeline, ...] = ("env_to_module_connector", "module_to_env_connector")
    for pipeline in pipelines:
        function = connector_function(config, pipeline)
        while function is not None:
            module = type(function).__module__
            if not module.startswith("rllib_recattn.rl_module.") or module.endswith(".observation_filter"):
                raise SettingsError(_refusal(where, f"{pipeline} = {function!r}"))
            function = function.user_function
    return Connectors(bool(config.normalize_actions), bool(config.clip_actions))


def _refusal(where: str, name: str) -> str:
    return (
        f"{where}: its connector {name} may change what the agent sees or does; only RLlib's MeanStdFilter "
        "(observation_filter) can be taken along: do it in a Gymnasium wrapper, or let the agent play with "
        "`rllib evaluate`"
    )
