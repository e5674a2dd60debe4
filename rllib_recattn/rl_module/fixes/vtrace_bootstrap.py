"""IMPALA and APPO lose the value that continues a chunk at its end.

Shape: [B, T], B rows of T steps.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.columns import Columns
from torch import Tensor

from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.bases import LearnerBase


class VTraceBootstrapMixin(LearnerBase):
    """For the learners of IMPALA and APPO: V-trace targets that are right at the ends of chunks.

    RLlib appends a step to each chunk of an episode, whose value V continues the return beyond the chunk. It gives
    that step reward 0 and discount 0 (algorithms/impala/torch/impala_torch_learner.py and
    algorithms/appo/torch/appo_torch_learner.py), so V-trace (vtrace_torch_v2.py) finds there the temporal difference
    0 + 0·V' − V = −V, and carries it into all steps before it, where it takes the value away again: with reward 0.1,
    γ = 0.99 and V = 10 everywhere, the targets of a chunk of 5 steps are 0.49 … 0.1 in place of 10. With V as the
    reward of the appended step the difference is 0. The loss masks this step, so nothing else sees its reward.

    A second one, where a train batch is cut into minibatches: RLlib takes the value after the last step of a row from
    the next row of the minibatch. For the last row that is the first one, which has nothing to do with it, and in a
    shuffled batch the same goes for every row. There the last step of the row takes the part of the appended one: its
    own value continues the return, and it has no loss.
    """

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Compute V-trace's loss for one module, with corrected rewards and mask."""
        module = self.module[module_id].unwrapped()
        if isinstance(module, RecurrentModule) and module.recurrence.rllib_fixes.vtrace_bootstrap:
            mask = _mask(batch, config)
            with torch.no_grad():
                values = module.compute_values(batch, embeddings=fwd_out.get(Columns.EMBEDDINGS))
            rewards = torch.where(mask, batch[Columns.REWARDS], values.to(batch[Columns.REWARDS].dtype))
            # The discount is 0 where the mask is: by itself, or in older versions of Ray by what it says of the end.
            terminateds = batch[Columns.TERMINATEDS].bool() | ~mask
            # A copy, since APPO learns from a batch several times, from other values each time.
            batch = {
                **batch,
                Columns.REWARDS: rewards,
                Columns.TERMINATEDS: terminateds,
                Columns.LOSS_MASK: mask,
            }
        return super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)


def _mask(batch: dict[str, Any], config: Any) -> Tensor:
    """Return the loss mask [B, T], without the last steps of rows that may go on elsewhere than in the next row."""
    mask: Tensor = batch[Columns.LOSS_MASK]
    if config.minibatch_size is None and config.num_epochs == 1:
        return mask
    shuffled = config.shuffle_batch_per_epoch and config.num_epochs > 1
    rows = slice(None) if shuffled else slice(-1, None)
    mask = mask.clone()
    mask[rows, -1] &= batch[Columns.TERMINATEDS][rows, -1].bool()
    return mask
