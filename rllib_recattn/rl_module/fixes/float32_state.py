"""RLlib's EnvRunners carry states as float32, and cannot convert bfloat16 at all."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.columns import Columns

from rllib_recattn.rl_module.recurrent_module import RecurrentModule


class Float32StateMixin(RecurrentModule):
    """For modules: hands out states as float32, whatever the model computes in.

    RLlib turns the outputs of a forward pass into NumPy arrays (``convert_to_numpy``, utils/numpy.py), which for
    bfloat16, the usual dtype under ``torch.autocast``, raises a TypeError. Of what it can convert, float16 and float64
    come back as float32 at the next step, so a model that computes in them would see another dtype in the middle of
    an episode than at its start.
    """

    def get_initial_state(self) -> Any:
        """Return the state of an agent at the start of an episode."""
        state = super().get_initial_state()
        return as_float32(state) if self.recurrence.rllib_fixes.float32_state else state

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        # A learner's pass goes another way, since nobody carries the states that come out of it.
        outputs: dict[str, Any] = super()._forward(batch, **kwargs)
        if Columns.STATE_OUT in outputs and self.recurrence.rllib_fixes.float32_state:
            outputs[Columns.STATE_OUT] = as_float32(outputs[Columns.STATE_OUT])
        return outputs


def as_float32(state: Any) -> Any:
    """Return a state, nested in any way, with float32 tensors."""
    # By hand: `tree.map_structure` costs a tenth of a small module's acting step.
    return (
        {key: as_float32(part) for key, part in state.items()} if isinstance(state, dict) else state.to(torch.float32)
    )
