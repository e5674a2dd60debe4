"""RLlib's default modules, mended where they hurt recurrent agents."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule


class RecurrentValueMixin:
    """Mends how RLlib's actor-critic modules treat a recurrent critic."""

    def get_non_inference_attributes(self) -> list[str]:
        """Return the parts whose weights the EnvRunners can do without.

        RLlib counts a critic encoder of its own among them. But a recurrent one runs during sampling too, to make the
        critic's states: without the learner's weights these come from a different, random network.
        """
        attributes = super().get_non_inference_attributes()  # type: ignore[misc]
        return [name for name in attributes if name != "encoder.critic_encoder"]

    def compute_values(self, batch: dict[str, Any], embeddings: Any | None = None) -> torch.Tensor:
        """Return the values [B, T] of a batch.

        Without `embeddings` it is the pass over the whole train batch before generalised advantage estimation, whose
        result RLlib turns into NumPy arrays: it needs no graph for the backward pass, which would cost a multiple of
        the memory.
        """
        with torch.no_grad() if embeddings is None else nullcontext():
            return super().compute_values(batch, embeddings)  # type: ignore[misc]


class RecAttnPPOModule(RecurrentValueMixin, DefaultPPOTorchRLModule):
    """PPO's module for the models of the catalog."""
