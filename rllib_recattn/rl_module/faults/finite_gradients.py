"""Gradients that are not finite end training before they reach the weights."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.utils.metrics import ALL_MODULES

from rllib_recattn.rl_module.rllib_internals.bases import LearnerBase
from rllib_recattn.rl_module.rllib_internals.learners import scales_gradients

LEFT_OUT = "num_updates_left_out"


class NotFiniteGradients(FloatingPointError):
    """A gradient is NaN or infinite. The message names the weights, and what to do."""


class FiniteGradientsMixin(LearnerBase):
    """For learners: refuses an update whose gradients are NaN or infinite.

    ``TorchLearner.apply_gradients`` (core/learner/torch/torch_learner.py) puts zeros in the place of NaN and the
    largest floats in the place of infinities, says so in a log, and goes on: with weights that are lost, or learning
    nothing. With ``torch_skip_nan_gradients``, which should leave out such updates, it takes them as they are, and all
    weights become NaN; here they are left out, and counted as ``learners/__all_modules__/num_updates_left_out``.
    """

    def postprocess_gradients(self, gradients_dict: dict[Any, torch.Tensor]) -> dict[Any, torch.Tensor]:
        """Check the gradients before they are clipped, which spreads a NaN to all of them.

        Raises:
            NotFiniteGradients: If one is NaN or infinite. The weights are those of the update before.
        """
        if not (self.config.torch_skip_nan_gradients or self._are_finite(gradients_dict)):
            self._refuse(gradients_dict)
        return super().postprocess_gradients(gradients_dict)

    def apply_gradients(self, gradients_dict: dict[Any, torch.Tensor]) -> None:
        """Update the weights."""
        if self.config.torch_skip_nan_gradients and not self._are_finite(gradients_dict):
            self.metrics.log_value((ALL_MODULES, LEFT_OUT), 1, reduce="lifetime_sum")
            return
        super().apply_gradients(gradients_dict)

    def _are_finite(self, gradients: dict[Any, torch.Tensor]) -> bool:
        # Scaled gradients of mixed precision overflow now and then; PyTorch's scaler leaves such updates out.
        if scales_gradients(self):
            return True
        given = [gradient for gradient in gradients.values() if gradient is not None]
        return not given or bool(torch.isfinite(torch.stack([gradient.sum() for gradient in given])).all())

    def _refuse(self, gradients: dict[Any, torch.Tensor]) -> None:
        names = {
            self.get_param_ref(parameter): f"{module_id}: {name}"
            for module_id, module in self.module.items()
            for name, parameter in module.named_parameters()
        }
        wrong = [
            names.get(ref, "?")
            for ref, gradient in gradients.items()
            if gradient is not None and not torch.isfinite(gradient).all()
        ]
        if not wrong:  # finite numbers whose sum is not
            return
        raise NotFiniteGradients(
            f"The gradients of {len(wrong)} of {len(gradients)} weights are not finite, of {wrong[0]} among them; the "
            "weights are still those of the last update. What to do: lower config.lr, set config.grad_clip, or let the "
            "environment return smaller numbers; config.torch_skip_nan_gradients: true leaves such updates out."
        )
