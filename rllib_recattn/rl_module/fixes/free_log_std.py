"""RLlib's head with free log standard deviations, mended for modules with a time dimension."""

from __future__ import annotations

from ray.rllib.core.models.torch.heads import TorchFreeLogStdMLPHead
from torch import Tensor


class FreeLogStdHead(TorchFreeLogStdMLPHead):
    """Maps [B, T, D] to the means and log standard deviations [B, T, 2 · A] of A actions.

    RLlib's (``core/models/torch/heads.py``, ``TorchFreeLogStdMLPHead._forward``) repeats the log standard deviations
    over one dimension, and cannot join them to means with two.
    """

    def _forward(self, inputs: Tensor, **kwargs: object) -> Tensor:
        outputs: Tensor = super()._forward(inputs.flatten(0, -2), **kwargs)
        return outputs.unflatten(0, inputs.shape[:-1])
