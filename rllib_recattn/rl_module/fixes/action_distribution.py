"""RLlib's distribution for Tuple and Dict actions, mended for modules with a time dimension."""

from __future__ import annotations

from typing import Any

import torch
import tree
from ray.rllib.core.distribution.torch.torch_distribution import TorchMultiDistribution
from torch import Tensor

from rllib_recattn.rl_module.rllib_internals.episodes import flat_children, nested_children


def over_time(distribution: type[TorchMultiDistribution]) -> type[TorchMultiDistribution]:
    """Return `distribution`, one for a given Tuple or Dict space, with log-probabilities that are right over [B, T]."""
    return type(distribution.__name__, (_OverTime, distribution), {})


class _OverTime(TorchMultiDistribution):
    def logp(self, value: Any) -> Tensor:
        """Return the log-probability [B, T] of actions [B, T, …], nested like their space.

        RLlib's (`torch_distribution.py`, `TorchMultiDistribution.logp`) takes a last dimension of 1 for a superfluous
        one. While acting it is that of the one step, without which the shapes do not fit, or broadcast to wrong ones.
        """
        children = zip(flat_children(self), tree.flatten(value), strict=True)
        return torch.stack([child.logp(action) for child, action in children]).sum(0)

    def to_deterministic(self) -> TorchMultiDistribution:
        """Return the distribution that always takes the most likely action.

        The children of RLlib's return log-probabilities of the shapes of their actions, which cannot be added up.
        """
        certain = _Certain(nested_children(super().to_deterministic()))
        certain.log_probability = torch.zeros_like(self.entropy())
        return certain


class _Certain(TorchMultiDistribution):
    log_probability: Tensor

    def logp(self, value: Any) -> Tensor:
        return self.log_probability
