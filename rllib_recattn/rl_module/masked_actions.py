"""Forbidden actions have no chance wherever a module's logits go, for this is where they leave its head."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import TARGET_NETWORK_ACTION_DIST_INPUTS

from rllib_recattn.inputs.masks import ActionMask
from rllib_recattn.rl_module.recurrent_module import RecurrentModule
from rllib_recattn.rl_module.rllib_internals.bases import TargetModuleBase


class ActionMaskMixin(RecurrentModule):
    """For modules: has the mask of their actions."""

    observation_space: Any
    action_space: Any

    @cached_property
    def action_mask(self) -> ActionMask | None:
        """The mask of the actions; None if all are allowed."""
        return ActionMask.of(self.observation_space, self.action_space, self.recurrence)


class MaskedActionsMixin(ActionMaskMixin):
    """For modules: masks the logits of all forward passes.

    Exploration and inference go by ``_forward``. What episodes carry for the learner is masked as well.
    """

    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return self._masked(super()._forward(batch, **kwargs), batch, Columns.ACTION_DIST_INPUTS)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return self._masked(super()._forward_train(batch, **kwargs), batch, Columns.ACTION_DIST_INPUTS)

    def _masked(self, outputs: dict[str, Any], batch: dict[str, Any], key: str) -> dict[str, Any]:
        if self.action_mask is not None:
            outputs[key] = self.action_mask.apply(outputs[key], batch[Columns.OBS])
        return outputs


class MaskedTargetMixin(MaskedActionsMixin, TargetModuleBase):
    """For APPO's module: masks the logits of its target policy as well."""

    def forward_target(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return the logits of APPO's target policy."""
        return self._masked(super().forward_target(batch), batch, TARGET_NETWORK_ACTION_DIST_INPUTS)
