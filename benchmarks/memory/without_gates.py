"""AGaLiTe that forgets nothing within an episode: β and γ weigh neither what is written nor what is kept.

``benchmarks.memory.without_gates:agalite_without_gates`` is its name as a model in YAML.
"""

from __future__ import annotations

import torch
from torch import Tensor

import rllib_recattn as ra
from rllib_recattn.models.agalite import AGaLiTe, AGaLiTeAttention, AGaLiTeSettings
from rllib_recattn.models.parts.expanded_attention import Features


class WithoutGatesSettings(AGaLiTeSettings):
    def build(self, input_dim: int) -> AGaLiTe:
        return AGaLiTeWithoutGates(input_dim, self)


class AGaLiTeWithoutGates(AGaLiTe):
    def new_attention(self, settings: AGaLiTeSettings) -> AGaLiTeAttention:
        return UngatedAttention(settings)


class UngatedAttention(AGaLiTeAttention):
    """The attention of AGaLiTe with a weight of 1 for whatever is written, and decays of 1."""

    has_kernels = False

    def features(self, h: Tensor) -> Features:
        rectified, _, value = self.project(h).split(self._group_sizes, dim=-1)
        key, query, key_factor, query_factor = self._heads(torch.relu(rectified).split(self._relu_sizes, dim=-1))
        (value,) = self._heads((value,))
        key, query = (
            (factor.unsqueeze(-1) * feature.unsqueeze(-2)).flatten(-2)
            for feature, factor in ((key, key_factor), (query, query_factor))
        )
        return Features(key, query, torch.zeros_like(key), value, torch.zeros_like(value))


ra.register_model(
    "agalite_without_gates", WithoutGatesSettings, description="AGaLiTe that never forgets", source="2310.15719"
)
