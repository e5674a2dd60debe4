"""A minibatch in which no step has a loss turns RLlib's losses into NaN."""

from __future__ import annotations

from typing import Any

from ray.rllib.core.columns import Columns
from torch import Tensor

from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.bases import LearnerBase


class EmptyMinibatchMixin(LearnerBase):
    """For learners: the loss of a minibatch in which no step has one is 0.

    RLlib divides sums over the loss mask by the number of steps in it (``possibly_masked_mean`` of
    core/learner/torch/torch_learner.py, ``size_loss_mask`` of algorithms/impala/torch/impala_torch_learner.py), 0 / 0
    where there are none: rows that hold but a step that RLlib has appended, or that end within their burn-in.

    Stands behind all mixins that change the mask.
    """

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Compute the loss for one module."""
        module = self.module[module_id].unwrapped()
        mends = isinstance(module, RecurrentModule) and module.recurrence.rllib_fixes.empty_minibatch
        if mends and Columns.LOSS_MASK in batch and not batch[Columns.LOSS_MASK].any():
            # Of all weights, since several learners wait for gradients of each other's.
            values = module.compute_values(batch, embeddings=fwd_out.get(Columns.EMBEDDINGS))
            zero: Tensor = 0 * (fwd_out[Columns.ACTION_DIST_INPUTS].sum() + values.sum())
            return zero
        loss: Tensor = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        return loss
