"""Learners that make their minibatches of packed rows."""

from __future__ import annotations

from typing import Any

from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from torch import Tensor

from rllib_recattn.rl_module.packing.burn_in import without_burn_in
from rllib_recattn.rl_module.packing.rows import arrange, can_be_packed, starts_episode
from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.bases import LearnerBase


class PackedRowsMixin(LearnerBase):
    """For learners: packs the rows of train batches, and leaves the burn-in of rows out of the loss.

    This comes behind the connectors, so that those of users, and RLlib's for advantages, see the rows that they know,
    and before the minibatches. RLlib counts in SEQ_LENS how many rows make ``minibatch_size`` steps, so a minibatch has
    as many steps as before; those that RLlib appends to chunks count no longer in PPO, which leaves them out.
    """

    rows_are_whole_episodes = False  # what RLlib's connectors make of a chunk may fill several rows

    def _make_batch_if_necessary(self, training_data: Any) -> MultiAgentBatch:
        batch = super()._make_batch_if_necessary(training_data)
        columns = {module_id: self._prepare(module_id, rows) for module_id, rows in batch.policy_batches.items()}
        return MultiAgentBatch(columns, env_steps=batch.env_steps())

    def _prepare(self, module_id: str, batch: SampleBatch) -> SampleBatch:
        module = self.module[module_id].unwrapped() if module_id in self.module else None
        if not isinstance(module, RecurrentModule) or not can_be_packed(batch):
            return batch
        initial_state = module.get_initial_state()
        starts = starts_episode(batch, initial_state, self.rows_are_whole_episodes)
        columns = without_burn_in(batch, starts, module.recurrence.burn_in)
        packed = None
        if module.recurrence.pack_rows:
            packed = arrange(_lengths(columns), starts, columns[Columns.LOSS_MASK].shape[1])
        prepared = SampleBatch(columns if packed is None else packed.pack(columns))
        prepared.zero_padded = batch.zero_padded
        return prepared


def _lengths(batch: dict[str, Any]) -> Tensor:
    """Return the steps of each row [B] that the loss depends on."""
    if Postprocessing.ADVANTAGES not in batch:  # V-trace has yet to read the value of the steps that RLlib appends
        lengths: Tensor = batch[Columns.SEQ_LENS]
        return lengths
    mask = batch[Columns.LOSS_MASK]
    steps = mask.new_ones(mask.shape[1], dtype=batch[Columns.SEQ_LENS].dtype).cumsum(0)
    return (mask * steps).amax(1)
