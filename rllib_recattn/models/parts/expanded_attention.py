"""What AGaLiTe's and GaLiTe's attention have in common: keys, queries and gates that are expanded by an outer product.

Per head of width d, from the normalised input h of a step, with expand(a, p) = vec(p ⊗ a) of η·d entries:

    k = expand(relu(W_k h), relu(W_p1 h))      q = expand(relu(W_q h), relu(W_p2 h))      v = W_v h
    γ = expand(σ(W_γ h), σ(W_p3 h))            β = σ(W_β h)

Source: arXiv 2310.15719 (TMLR 2024), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.stack import Mixer, MultiHeadSettings


class Features(NamedTuple):
    """What a step writes, where, how strongly, and what it asks for; B rows, T steps, H heads.

    Attributes:
        gated_key: γ ⊙ k [B, T, H, η·d].
        query: q [B, T, H, η·d].
        gamma: γ, the gate of the keys [B, T, H, η·d].
        gated_value: β ⊙ v [B, T, H, d].
        beta: β, the gate of the values [B, T, H, d].
    """

    gated_key: Tensor
    query: Tensor
    gamma: Tensor
    gated_value: Tensor
    beta: Tensor


class ExpandedAttention(Mixer):
    """Projections of an input into features, and of the heads' outputs back.

    Args:
        state_parts: The shape of each part of its state, without the batch dimension.
        settings: Sizes.
        eta: η, how many times d_head the keys are wide.
    """

    def __init__(self, state_parts: Mapping[str, tuple[int, ...]], settings: MultiHeadSettings, eta: int):
        super().__init__(state_parts)
        self.n_heads, self.d_head = settings.n_heads, settings.d_head
        width, expansion = settings.n_heads * settings.d_head, settings.n_heads * eta
        # W_k, W_q, W_p1, W_p2 (relu) | W_γ, W_β, W_p3 (σ) | W_v: grouped by what is applied to them.
        self._relu_sizes = [width, width, expansion, expansion]
        self._sigmoid_sizes = [width, width, expansion]
        self._sizes = [*self._relu_sizes, *self._sigmoid_sizes, width]
        self._group_sizes = [sum(self._relu_sizes), sum(self._sigmoid_sizes), width]
        self.project = orthogonal_linear(settings.d_model, *self._sizes)
        self.output = orthogonal_linear(width, settings.d_model)

    def gate_biases(self) -> tuple[Tensor, Tensor]:
        """Return the biases of W_γ and W_β [H·d], as views."""
        _, _, _, _, gamma, beta, _, _ = self.project.bias.split(self._sizes)
        return gamma, beta

    def features(self, h: Tensor) -> Features:
        """Project normalised inputs [B, T, D]."""
        rectified, gates, value = self.project(h).split(self._group_sizes, dim=-1)
        key, query, key_factor, query_factor = self._heads(torch.relu(rectified).split(self._relu_sizes, dim=-1))
        gamma, beta, gamma_factor = self._heads(torch.sigmoid(gates).split(self._sigmoid_sizes, dim=-1))
        (value,) = self._heads((value,))
        return Features(
            # The product of two expansions is the expansion of the products, η times as cheap.
            gated_key=_expand(gamma * key, gamma_factor * key_factor),
            query=_expand(query, query_factor),
            gamma=_expand(gamma, gamma_factor),
            gated_value=beta * value,
            beta=beta,
        )

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any) -> dict[str, Tensor]:
        """Return γ [B, T, H, η·d] and β [B, T, H, d]; see :meth:`Mixer.gates`.

        AGaLiTe's keys forget γ and its values β; GaLiTe's keys forget γ and its memory β ⊗ γ.
        """
        features = self.features(h)
        return {"γ": features.gamma, "β": features.beta}

    def _heads(self, projections: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(projection.unflatten(-1, (self.n_heads, -1)) for projection in projections)


def _expand(a: Tensor, p: Tensor) -> Tensor:
    return (p.unsqueeze(-1) * a.unsqueeze(-2)).flatten(-2)
