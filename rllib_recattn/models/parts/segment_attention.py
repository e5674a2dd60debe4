"""Multi-head attention over the slots of a segment, which are remembered as they come in.

What is remembered of a slot is the normalised layer input n, not keys and values, which together are 2·H·d / D times
as wide. Nor are keys and values ever made of it: a query reads n directly,

    score = (W_kᵀ W_q h) · n / √d        output = W_o [W_v Σ p n]        per head, p = softmax of the scores,

which is the same, and for one step that asks H·d·D multiplications for each projection instead of K times as many.

Shapes: B rows, Q tokens that ask, P slots, D features, H heads of width d.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import orthogonal_linear


class MultiHeadAttention(nn.Module):
    """Attention of some tokens to others, without biases in the projections of queries, keys and values.

    Args:
        d_model: D.
        n_heads: H.
        d_head: d.
    """

    def __init__(self, d_model: int, n_heads: int, d_head: int):
        super().__init__()
        self.n_heads, self.d_head = n_heads, d_head
        width = n_heads * d_head
        self.query, self.key, self.value = (orthogonal_linear(d_model, width, bias=False) for _ in range(3))
        self.output = orthogonal_linear(width, d_model)

    def forward(self, h: Tensor, slots: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            h: What asks [B, Q, D].
            slots: What is asked [B, P, D].
            hidden: Booleans, true for the slots that a token does not see, of a shape that broadcasts to
                [B, H, Q, P]. None: all tokens see all slots.

        Returns:
            Outputs [B, Q, D].
        """
        n_rows, n_tokens, d_model = h.shape
        query = self.query(h).view(n_rows * n_tokens, self.n_heads, self.d_head).transpose(0, 1)
        per_head = (self.n_heads, self.d_head, d_model)
        query = torch.bmm(query / math.sqrt(self.d_head), self.key.weight.view(per_head))
        query = query.view(self.n_heads, n_rows, n_tokens * d_model).transpose(0, 1)
        query = query.reshape(n_rows, self.n_heads * n_tokens, d_model)
        scores = torch.bmm(query, slots.mT).unflatten(1, (self.n_heads, n_tokens))
        if hidden is not None:
            scores = scores.masked_fill(hidden, -math.inf)
        read = torch.bmm(scores.softmax(dim=-1).flatten(1, 2), slots)
        read = read.view(n_rows, self.n_heads, n_tokens * d_model).transpose(0, 1)
        read = read.reshape(self.n_heads, n_rows * n_tokens, d_model)
        value = torch.bmm(read, self.value.weight.view(per_head).mT)
        return self.output(value.transpose(0, 1).reshape(n_rows, n_tokens, self.n_heads * self.d_head))


class SegmentAttention(nn.Module):
    """The attention of one layer, to slots of which some may be remembered from earlier calls.

    Args:
        d_model: D.
        n_heads: H.
        d_head: d.
    """

    def __init__(self, d_model: int, n_heads: int, d_head: int):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, n_heads, d_head)

    def forward(
        self, h: Tensor, remembered: Tensor | None, keep: Tensor | None, hidden: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Put tokens into their slots, and let them attend to all.

        Args:
            h: Normalised inputs of the tokens [B, Q, D].
            remembered: Slots of earlier calls [B, P, D]. None: the slots are the tokens themselves.
            keep: [B, P, 1] booleans, false for the slots that h takes, where h is one token or has P of them.
                None: the tokens take new slots behind those remembered.
            hidden: As for :meth:`MultiHeadAttention.forward`.

        Returns:
            Outputs [B, Q, D], and the slots: [B, P, D], or [B, P + Q, D] if they are new ones.
        """
        if remembered is None:
            slots = h
        elif keep is None:
            slots = torch.cat([remembered, h], dim=1)
        else:
            slots = torch.where(keep, remembered, h)
        return self.attention(h, slots, hidden), slots
