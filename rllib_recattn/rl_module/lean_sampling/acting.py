"""From a batch of observations to actions: what RLlib's module-to-env pipeline does, on whole arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tree
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.module_to_env import GetActions, NormalizeAndClipActions
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.utils.spaces.space_utils import clip_action, get_base_struct_from_space, unsquash_action
from torch import Tensor

from rllib_recattn.rl_module.rllib_internals.sampling import forward_without_modes


@dataclass(frozen=True)
class Acted:
    """What a module did in a step of N environments.

    Attributes:
        actions: [N, …], nested like the action space, as episodes have them.
        actions_for_env: Likewise, as environments take them.
        outputs: What else episodes have of the step, without time dimension, by column.
        state_out: The states after it, as tensors [N, S]; None for a module without a state.
    """

    actions: Any
    actions_for_env: Any
    outputs: dict[str, Any]
    state_out: Any


class Actor:
    """Chooses the actions of all environments.

    Args:
        module: The module.
        explore: Whether it explores.
        pieces: RLlib's module-to-env pieces, of which two say how actions are chosen and scaled.
        action_space: Of one environment.
    """

    def __init__(
        self,
        module: RLModule,
        explore: bool,
        pieces: list[ConnectorV2],
        action_space: gym.Space[Any],
    ):
        self._rl_module = module
        self._explore = explore
        self._run = forward_without_modes(module, explore)
        self._has_time = module.is_stateful()
        self._draws_from_logits = explore and module.get_exploration_action_dist_cls() is TorchCategorical
        self._get_actions = next(piece for piece in pieces if isinstance(piece, GetActions))
        scaling = next(piece for piece in pieces if isinstance(piece, NormalizeAndClipActions))
        self._scales = scaling.normalize_actions or scaling.clip_actions
        self._scale = unsquash_action if scaling.normalize_actions else clip_action
        self._space = get_base_struct_from_space(action_space)
        self._has_boxes = any(isinstance(part, gym.spaces.Box) for part in tree.flatten(self._space))

    def forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Run the module, whose mode has been set."""
        return self._run(batch, **kwargs)

    def act(self, outputs: dict[str, Any], episodes: list[Any]) -> Acted:
        """Choose actions by what came out of the module.

        Args:
            outputs: That.
            episodes: The episodes of the environments.
        """
        if self._draws_from_logits and Columns.ACTIONS not in outputs and Columns.ACTION_LOGP not in outputs:
            outputs.update(draw(outputs[Columns.ACTION_DIST_INPUTS]))
        else:
            outputs = self._get_actions(
                rl_module=self._rl_module, batch=outputs, episodes=episodes, explore=self._explore, shared_data={}
            )
        state_out = outputs.pop(Columns.STATE_OUT, None)
        arrays = {key: self._as_arrays(value) for key, value in outputs.items()}
        actions = arrays.pop(Columns.ACTIONS)
        given = arrays.pop(Columns.ACTIONS_FOR_ENV, actions)
        return Acted(actions, self._for_env(actions) if self._scales else given, arrays, state_out)

    def _for_env(self, actions: Any) -> Any:
        return self._scale(actions, self._space) if self._has_boxes else actions

    def _as_arrays(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._as_array(value)
        return tree.map_structure(self._as_array, value)

    def _as_array(self, leaf: Any) -> Any:
        array = leaf.detach().numpy() if isinstance(leaf, torch.Tensor) else np.asarray(leaf)
        if self._has_time:
            array = array[:, 0]
        dtype = _kept_dtype(array.dtype)
        return array if array.dtype == dtype else array.astype(dtype)


def draw(logits: Tensor) -> dict[str, Tensor]:
    """Draw actions and return them with their log-probabilities: what ``GetActions`` does with a ``TorchCategorical``.

    The operations are those of ``torch.distributions.Categorical``, and draw the same random numbers; what is left out
    is its Python around them.

    Args:
        logits: [N, …, K], of K actions.
    """
    logits = logits - logits.logsumexp(dim=-1, keepdim=True)
    probabilities = torch.softmax(logits, dim=-1)
    drawn = torch.multinomial(probabilities.reshape(-1, logits.shape[-1]), 1, replacement=True)
    actions = drawn.reshape(logits.shape[:-1])
    return {
        Columns.ACTIONS: actions,
        Columns.ACTION_LOGP: logits.gather(-1, actions.unsqueeze(-1)).squeeze(-1),
    }


@cache
def _kept_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which RLlib's ``convert_to_numpy`` hands out an array of a module."""
    if np.issubdtype(dtype, np.floating):
        return np.dtype(np.float32)
    return np.dtype(np.int32) if np.issubdtype(dtype, int) else dtype
