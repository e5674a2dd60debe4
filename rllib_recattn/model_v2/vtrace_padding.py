"""The value targets of IMPALA and APPO in rows with padding.

V-trace goes backwards over whole rows [T] of a batch and begins with ``VALUES_BOOTSTRAPPED`` at the last place of each
(``impala_torch_policy.py``, ``appo_torch_policy.py``). A row that is shorter than the longest ends in padding: its
bootstrap value is 0, and what the value function says of zeros runs into the targets of all of its steps, unless the
last one is terminal. The losses are masked, the targets are not.

Here, at each padded place, the value is the bootstrap value of the row's last step, the reward is equal to it, and the
discount is 0. V-trace then finds nothing to correct there, and the row's last step sees its bootstrap value.
"""

from __future__ import annotations

import torch
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import SampleBatch
from torch import Tensor


def mend_padding(train_batch: SampleBatch, values: Tensor) -> Tensor:
    """Prepare a padded batch of IMPALA or APPO for V-trace; other batches stay as they are.

    To call it again changes nothing: APPO's target network reads the same batch.

    Args:
        train_batch: A batch of B rows of T steps each, flattened; rewards and terminateds are changed in it.
        values: The value function's values [B · T].

    Returns:
        The values, with those at padded places replaced.
    """
    if SampleBatch.VALUES_BOOTSTRAPPED not in train_batch or Postprocessing.ADVANTAGES in train_batch:
        return values
    lengths = train_batch[SampleBatch.SEQ_LENS].long()
    n_rows = len(lengths)
    bootstrapped = train_batch[SampleBatch.VALUES_BOOTSTRAPPED].reshape(n_rows, -1)
    at_end = bootstrapped.gather(1, (lengths - 1).unsqueeze(1)).float().expand_as(bootstrapped)
    is_padding = torch.arange(bootstrapped.shape[1], device=lengths.device) >= lengths.unsqueeze(1)
    is_padding, at_end = is_padding.reshape(-1), at_end.reshape(-1)
    rewards, terminateds = train_batch[SampleBatch.REWARDS], train_batch[SampleBatch.TERMINATEDS]
    train_batch[SampleBatch.REWARDS] = torch.where(is_padding, at_end, rewards.float())
    train_batch[SampleBatch.TERMINATEDS] = terminateds.bool() | is_padding
    return torch.where(is_padding, at_end, values)
