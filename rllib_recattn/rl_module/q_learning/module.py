"""RLlib's module for DQN with the models of this package, and its catalog.

Shape suffixes: B rows, T steps, A actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from ray.rllib.algorithms.dqn.default_dqn_rl_module import QF_PREDS, QF_TARGET_NEXT_PREDS
from ray.rllib.algorithms.dqn.dqn_catalog import DQNCatalog
from ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module import DefaultDQNTorchRLModule
from ray.rllib.core.columns import Columns

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.acting_mode import ActingModeMixin
from rllib_recattn.rl_module.catalog import RecAttnEncoders, is_stock_catalog
from rllib_recattn.rl_module.fixes.float32_state import Float32StateMixin, as_float32
from rllib_recattn.rl_module.masked_actions import ActionMaskMixin
from rllib_recattn.rl_module.q_learning.settings import DEFAULTS, QLearningSettings, steps_between_states


class RecAttnDQNCatalog(RecAttnEncoders, DQNCatalog):
    """Builds the encoder that ``use_model`` has written into ``model_config``; heads are RLlib's own for DQN."""

    def __init__(
        self,
        observation_space: gym.Space,
        action_space: gym.Space,
        model_config_dict: dict[str, Any],
        **kwargs: Any,
    ):
        if not isinstance(action_space, gym.spaces.Discrete):
            raise SettingsError(
                f"action space {action_space}: should be Discrete with DQN, which has a Q-value for each action; PPO "
                "has no such limit"
            )
        super().__init__(observation_space, action_space, model_config_dict, **kwargs)


class RecAttnDQNModule(ActionMaskMixin, ActingModeMixin, Float32StateMixin, DefaultDQNTorchRLModule):
    """DQN's module for the models of the catalog.

    RLlib's own draws actions of several environments at once with shapes [B] and [B, 1], of which [B, B] comes, and
    random ones among those with a Q-value other than 0. In training it reads each observation twice, as one of a
    sequence of observations and as one of next observations. Here networks read a sequence once, the target network
    with a memory of its own, and what comes after a step is in the next slot. The Q-values of forbidden actions are so
    low that no maximum is theirs, and random actions are drawn from the others.
    """

    def __init__(self, *args: Any, catalog_class: type | None = None, **kwargs: Any) -> None:
        if is_stock_catalog(catalog_class):
            catalog_class = RecAttnDQNCatalog
        super().__init__(*args, catalog_class=catalog_class, **kwargs)
        self.environments = (0, None)

    environments: tuple[int, int | None]
    """Which of all environments the first row of a batch is, and how many there are; None: as many as rows."""

    @property
    def q_learning(self) -> QLearningSettings:
        """What ``use_model`` was told of Q-learning."""
        return self.recurrence.q_learning or DEFAULTS

    @property
    def state_interval(self) -> int:
        """After how many steps of a chunk of an episode a state is kept."""
        return steps_between_states(self.recurrence.max_seq_len, self.recurrence.burn_in)

    def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        q_values, outputs = self._act(batch)
        return {**outputs, Columns.ACTIONS: q_values.argmax(-1)}

    def _forward_exploration(self, batch: dict[str, Any], t: int | None = None, **kwargs: Any) -> dict[str, Any]:
        q_values, outputs = self._act(batch)
        greedy = q_values.argmax(-1)
        self.epsilon_schedule.update(t or 0)
        epsilon = self._epsilons(len(greedy)).to(greedy.device)
        explores = torch.rand(greedy.shape, device=greedy.device) < epsilon[:, None]
        if self.action_mask is None:
            drawn = torch.randint_like(greedy, q_values.shape[-1])
        else:
            drawn = self.action_mask.allowed(batch[Columns.OBS]).flatten(0, -2).float().multinomial(1).view_as(greedy)
        return {**outputs, Columns.ACTIONS: torch.where(explores, drawn, greedy)}

    def _epsilons(self, n_rows: int) -> torch.Tensor:
        """Return ε [B] of each environment."""
        epsilon = float(self.epsilon_schedule.get_current_value())
        first, n_all = self.environments
        places = torch.arange(first, first + n_rows) / max(1, (n_all or n_rows) - 1)
        return torch.full((n_rows,), epsilon) ** (1 + places.clamp(max=1) * self.q_learning.epsilon_spread)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Return the Q-values [B, T, A] of the network that learns, and of the target network."""
        if self.inference_only:
            raise RuntimeError("a module that was built to act cannot train: inference_only should be False")
        q_values = self.compute_q_values(batch)[QF_PREDS]
        with torch.no_grad():
            target = self.forward_target(batch)[QF_PREDS]
        return {QF_PREDS: self._masked(q_values, batch), QF_TARGET_NEXT_PREDS: self._masked(target, batch)}

    @torch.no_grad()
    def _act(self, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
        outputs = self.compute_q_values(batch)
        state = {Columns.STATE_OUT: outputs[Columns.STATE_OUT]} if Columns.STATE_OUT in outputs else {}
        q_values = self._masked(outputs[QF_PREDS], batch)
        return q_values, as_float32(state) if self.recurrence.rllib_fixes.float32_state else state

    def _masked(self, q_values: torch.Tensor, batch: dict[str, Any]) -> torch.Tensor:
        return q_values if self.action_mask is None else self.action_mask.apply(q_values, batch[Columns.OBS])
