"""What the learner reports about recurrent modules, under ``learners/<policy>/recattn/…``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import tree
from ray.rllib.core.columns import Columns
from torch import Tensor

from rllib_recattn.models.diagnostics import gru_gate_updates
from rllib_recattn.rl_module.packing.rows import IS_FIRST
from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.bases import LearnerBase

METRICS = "recattn"
PADDING_SHARE = "padding_share"
STATE_NORM = "state_norm"
STATE_BYTES_PER_STEP = "state_bytes_per_step"
GATE_OPENNESS = "gate_openness"


@dataclass
class _Record:
    """Of one module, over the minibatches of an update."""

    slots: int
    states: int
    steps: Tensor
    state_norm: Tensor
    gate_openness: Tensor


class RecurrentMetricsMixin(LearnerBase):
    """For learners: reports, once for each update, what a train batch holds for each recurrent module.

    - ``padding_share``: the share of the slots in its rows that hold no step of experience: zeros up to
      ``max_seq_len``, the step that RLlib appends to each chunk, and burn-in. The learner computes on them all.
    - ``state_norm``: the Euclidean norm of a state in the middle of an episode, the mean over the rows of the first
      minibatch. None where all rows start an episode.
    - ``state_bytes_per_step``: bytes of recurrent state that episodes carry to the learner, for each step. With
      PPO's packed rows, without those for rows that hold only the appended step.
    - ``gate_openness``: the share of a block's output that comes from its sublayer, as the GRU gates of the blocks
      have it: the mean of u over gates, and over the steps of the first minibatch. None for models without them.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._records: dict[str, _Record] = {}

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Note what there is to report, and compute the loss."""
        module = self.module[module_id].unwrapped()
        if isinstance(module, RecurrentModule) and module.recurrence.report_metrics:
            self._note(module_id, module, batch)
        return super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Report."""
        super().after_gradient_based_update(timesteps=timesteps)
        for module_id, record in self._records.items():
            module = self.module[module_id].unwrapped()
            steps = int(record.steps)
            carried = record.states if module.recurrence.sparse_states else steps
            values = {
                PADDING_SHARE: 1 - steps / record.slots,
                STATE_BYTES_PER_STEP: carried * _state_bytes(module) / max(1, steps),
                STATE_NORM: float(record.state_norm),
                GATE_OPENNESS: float(record.gate_openness),
            }
            for name, value in values.items():
                if value == value:  # not NaN
                    self.metrics.log_value((module_id, METRICS, name), value, window=1)
        self._records.clear()

    def _note(self, module_id: str, module: Any, batch: dict[str, Any]) -> None:
        mask = batch[Columns.LOSS_MASK]
        record = self._records.get(module_id)
        if record is None:
            no_steps = torch.zeros((), dtype=torch.long, device=mask.device)
            record = _Record(0, 0, no_steps, _state_norm(module, batch), _gate_openness(module, mask))
            self._records[module_id] = record
        record.slots += mask.numel()
        # A packed row carries one state, and stands for others that the episodes carried too.
        record.states += len(mask) + int(batch[IS_FIRST].sum() if IS_FIRST in batch else 0)
        record.steps += mask.sum()


def _state_norm(module: Any, batch: dict[str, Any]) -> Tensor:
    """Return the mean norm of the states [B, S] with which rows continue an episode; NaN if none does."""
    states, initials = (tree.flatten(state) for state in (batch[Columns.STATE_IN], module.get_initial_state()))
    state, initial = torch.cat(states, dim=-1), torch.cat(initials, dim=-1)
    continues = (state != initial.to(state.device)).any(-1)
    return torch.linalg.vector_norm(state, dim=-1)[continues].mean()


def _gate_openness(module: Any, mask: Tensor) -> Tensor:
    """Return the mean of all gates' u over the steps in `mask` [B, T]; NaN if there are no gates."""
    updates = gru_gate_updates(module).values()
    by_gate = [update.mean(-1)[mask].mean() for update in updates if update.shape[:2] == mask.shape]
    return torch.stack(by_gate).mean() if by_gate else torch.full((), torch.nan)


def _state_bytes(module: Any) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in tree.flatten(module.get_initial_state()))
