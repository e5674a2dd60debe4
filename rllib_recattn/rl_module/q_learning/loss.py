"""The loss of recurrent Q-learning.

Shape suffixes: B rows, T steps, A actions.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.dqn.dqn_learner import (
    QF_LOSS_KEY,
    QF_MAX_KEY,
    QF_MEAN_KEY,
    QF_MIN_KEY,
    QF_PREDS,
    QF_TARGET_NEXT_PREDS,
    TD_ERROR_MEAN_KEY,
)
from ray.rllib.core.columns import Columns
from ray.rllib.utils.metrics import TD_ERROR_KEY
from torch import Tensor, nn

from rllib_recattn.rl_module.q_learning.pieces import SEQUENCE, WEIGHTS
from rllib_recattn.rl_module.q_learning.settings import QLearningSettings
from rllib_recattn.rl_module.q_learning.targets import n_step_returns, rescale, undo_rescale
from rllib_recattn.rl_module.rllib_internals.bases import LearnerBase

_LOSSES: dict[str, Any] = {"huber": nn.functional.huber_loss, "mse": nn.functional.mse_loss}


class SequenceLossMixin(LearnerBase):
    """For learners of DQN: the loss over sequences, in the place of RLlib's over pairs of observations.

    Targets are n-step returns within a sequence: near its end, and at the end of an episode, of fewer steps. An episode
    that was cut short is bootstrapped from its last observation, one that ended by itself is not.
    """

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Compute the loss for one module, the mean over the steps that have one."""
        module = self.module[module_id].unwrapped()
        mask, q_values = batch[Columns.LOSS_MASK], fwd_out[QF_PREDS]
        if not mask.any():
            zero: Tensor = 0 * q_values.sum()
            return zero
        chosen = q_values.gather(-1, batch[Columns.ACTIONS].long().unsqueeze(-1)).squeeze(-1)
        targets = q_targets(batch, q_values, fwd_out[QF_TARGET_NEXT_PREDS], config, module.q_learning)
        losses = _LOSSES[config.td_error_loss_fn](chosen, targets, reduction="none")
        loss: Tensor = (batch[WEIGHTS] * losses)[mask].mean()
        errors, learnt = (chosen - targets).detach().abs(), chosen.detach()[mask]
        if config.replay_buffer_config.get("alpha") is not None:
            priorities = priorities_of(errors[mask], batch[SEQUENCE][mask].long(), module.q_learning.priority_max_share)
            self.metrics.log_value((module_id, TD_ERROR_KEY), priorities, reduce="item_series")
        values = {
            QF_LOSS_KEY: loss,
            QF_MEAN_KEY: learnt.mean(),
            QF_MAX_KEY: learnt.max(),
            QF_MIN_KEY: learnt.min(),
            TD_ERROR_MEAN_KEY: errors[mask].mean(),
        }
        self.metrics.log_dict(values, key=module_id, window=1)
        return loss


@torch.no_grad()
def q_targets(
    batch: dict[str, Any], q_values: Tensor, target_q_values: Tensor, config: Any, settings: QLearningSettings
) -> Tensor:
    """Return what the Q-values of the actions that were taken are to become [B, T].

    Args:
        batch: Rows of sequences.
        q_values: Of the network that learns [B, T, A].
        target_q_values: Of the target network [B, T, A].
        config: DQN's config: ``double_q``, ``n_step`` and ``gamma``.
        settings: Whether they are rescaled.
    """
    best = (q_values if config.double_q else target_q_values).argmax(-1, keepdim=True)
    values = target_q_values.gather(-1, best).squeeze(-1)
    returns = n_step_returns(
        batch[Columns.REWARDS],
        undo_rescale(values) if settings.value_rescaling else values,
        batch[Columns.LOSS_MASK],
        batch[Columns.TERMINATEDS].bool(),
        config.n_step,
        config.gamma,
    )
    return rescale(returns) if settings.value_rescaling else returns


def priorities_of(errors: Tensor, sequences: Tensor, max_share: float) -> Tensor:
    """Return η max |δ| + (1 − η) mean |δ| of each sequence (Kapturowski et al., 2019, section 2.3).

    Args:
        errors: |δ| of the steps that have a loss, in any order.
        sequences: The place of each one's sequence in what was sampled.
        max_share: η.
    """
    n = int(sequences.max()) + 1
    largest = errors.new_zeros(n).scatter_reduce(0, sequences, errors, "amax")
    counts = errors.new_zeros(n).index_add(0, sequences, torch.ones_like(errors))
    means = errors.new_zeros(n).index_add(0, sequences, errors) / counts.clamp(min=1)
    return max_share * largest + (1 - max_share) * means
