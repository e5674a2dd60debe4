"""The values of a whole train batch, computed on packed rows."""

from __future__ import annotations

from typing import Any

from ray.rllib.core.columns import Columns
from torch import Tensor

from rllib_recattn.rl_module.packing.rows import arrange, can_be_packed, starts_episode
from rllib_recattn.rl_module.recurrent_module import RecurrentModule


class PackedValuesMixin(RecurrentModule):
    """For modules: packs the rows for which it has to compute values from observations, as PPO does for advantages.

    ``GeneralAdvantageEstimation`` (connectors/learner/general_advantage_estimation.py) takes RLlib's rows apart by the
    lengths of the episodes, and gets the values of all steps in these rows, those of the appended ones too.
    """

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Return values [B, T] of the steps of a batch; zero where a row is padded."""
        packed = None
        if embeddings is None and self.recurrence.pack_rows and can_be_packed(batch):
            starts = starts_episode(batch, self.get_initial_state())
            packed = arrange(batch[Columns.SEQ_LENS], starts, batch[Columns.LOSS_MASK].shape[1])
        if packed is None:
            return super().compute_values(batch, embeddings)
        return packed.unpack(super().compute_values(packed.pack(batch)))
