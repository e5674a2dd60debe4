"""What a chunk of C steps needs of its own steps: the products of queries, keys and the decays between them.

With b_i = α_1 ⊙ … ⊙ α_i and c_j = α_{j+1} ⊙ … ⊙ α_C these are b_i ⊙ q_i, c_j ⊙ k_j, b_C and

    A_ij = Σ_κ q_iκ k_jκ α_{j+1,κ} ⋯ α_iκ        j ≤ i

The usual factors of A, q_i ⊙ b_i and k_j / b_j, overflow where the decays are strong, and do not exist where a decay is
0. Here A is worked out by halves: for i in the right half of a block and j in its left half, the product of decays is
one from j to the middle times one from the middle to i. Neither exceeds 1, nothing is divided and no logarithm taken,
so every decay in [0, 1] is exact, among them the 0 that forgets an earlier episode.

Shape letters: B rows of a batch, T steps, H heads, K width of a head's keys, C steps of a chunk.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def chunk_size_of(n_steps: int, largest: int) -> int:
    """Return how many steps a chunk has, a power of two: `largest`, or as many as hold a sequence that is shorter."""
    return min(largest, 1 << (n_steps - 1).bit_length())


def in_chunks(x: Tensor, chunk_size: int, filler: float) -> Tensor:
    """Cut [B, T, H, …] into [B, ⌈T/C⌉, H, C, …], filled up behind the last step."""
    missing = -x.shape[1] % chunk_size
    if missing:
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, missing), value=filler)
    return x.unflatten(1, (-1, chunk_size)).transpose(2, 3).contiguous()


def within_chunk(query: Tensor, key: Tensor, decay: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Work out what a chunk needs of its own steps.

    Args:
        query: q [..., C, K], C a power of two.
        key: k [..., C, K].
        decay: α [..., C, K], in [0, 1].

    Returns:
        A [..., C, C] with zeros above the diagonal, b_i ⊙ q_i and c_j ⊙ k_j [..., C, K], and b_C [..., K].
    """
    if key is query:
        key = key.view_as(key)  # torch.compile gives no function the same tensor twice
    scores, query_from_start, key_to_end, whole_decay = _WithinChunk.apply(query, key, decay)
    return scores, query_from_start, key_to_end, whole_decay


def decays_within_chunk(decay: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Work out what a chunk leaves of its own steps where all features of a key have the same decay.

    Args:
        decay: α [..., C, 1], in [0, 1], C a power of two.

    Returns:
        α_{j+1} ⋯ α_i [..., C, C] with zeros above the diagonal, b_i and c_j [..., C, 1], and b_C [..., 1].
    """
    ones = torch.ones_like(decay)
    return within_chunk(ones, ones, decay)


class _WithinChunk(torch.autograd.Function):
    """Blocks of one step are merged in pairs until one is left.

    b and c are always those of the present block: in a merger the queries of the right half are decayed by all of the
    left half, and the keys of the left half by all of the right one; their products just before that are the scores
    between the halves.

    Hand-written since every merger changes half of the queries and keys in place, which autograd would copy.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, decay: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        chunk_size = query.shape[-2]
        scores = query.new_zeros(*query.shape[:-1], chunk_size)
        scores.diagonal(dim1=-2, dim2=-1).copy_(torch.linalg.vecdot(query, key))
        saved = [query, key, decay]
        query, key, whole = query * decay, key.clone(), decay
        size = 1
        while size < chunk_size:
            _, query_right = _halves(query, size)
            key_left, _ = _halves(key, size)
            whole_left, whole_right = _halves(whole, 1)
            between = [half.clone(memory_format=torch.contiguous_format) for half in (query_right, key_left)]
            _lower_left(scores, size).copy_(_products(*between))
            query_right.mul_(whole_left)
            key_left.mul_(whole_right)
            saved += [*between, whole_left, whole_right]
            whole = (whole_left * whole_right).squeeze(-2)
            size *= 2
        ctx.save_for_backward(*saved)
        return scores, query, key, whole.squeeze(-2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_scores: Tensor, grad_query: Tensor, grad_key: Tensor, grad_whole: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        query, key, decay, *mergers = ctx.saved_tensors
        grad_query = grad_query.clone(memory_format=torch.contiguous_format)
        grad_key = grad_key.clone(memory_format=torch.contiguous_format)
        grad_whole = grad_whole.unsqueeze(-2)
        size = query.shape[-2]
        while mergers:
            size //= 2
            *mergers, query_right, key_left, whole_left, whole_right = mergers
            _, grad_right = _halves(grad_query, size)
            grad_left, _ = _halves(grad_key, size)
            grad_merged = grad_whole.unsqueeze(-2)
            grad_whole_left = grad_merged * whole_right + (grad_right * query_right).sum(-2, keepdim=True)
            grad_whole_right = grad_merged * whole_left + (grad_left * key_left).sum(-2, keepdim=True)
            grad_whole = torch.cat([grad_whole_left, grad_whole_right], dim=-2).flatten(-3, -2)
            grad_between = _lower_left(grad_scores, size).contiguous()
            grad_right.mul_(whole_left)
            grad_left.mul_(whole_right)
            _add_product(grad_right, grad_between, key_left)
            _add_product(grad_left, grad_between.transpose(-1, -2), query_right)
        grad_decay = grad_whole + grad_query * query
        grad_diagonal = grad_scores.diagonal(dim1=-2, dim2=-1).unsqueeze(-1)
        grad_query.mul_(decay).addcmul_(grad_diagonal, key)
        return grad_query, grad_key.addcmul_(grad_diagonal, query), grad_decay


def _halves(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """View the left and right halves [..., n, size, K] of the blocks of 2 · size rows of x [..., 2 · n · size, K]."""
    halves = x.unflatten(-2, (-1, 2, size))
    return halves.select(-3, 0), halves.select(-3, 1)  # unbind's views may not be changed in place when exported


def _lower_left(scores: Tensor, size: int) -> Tensor:
    """View the lower left quarters [..., n, size, size] of the n diagonal blocks of 2 · size of scores [..., C, C]."""
    blocks = scores.unflatten(-1, (-1, 2, size)).unflatten(-4, (-1, 2, size))
    return blocks[..., 1, :, :, 0, :].diagonal(dim1=-4, dim2=-2).movedim(-1, -3)


def _products(queries: Tensor, keys: Tensor) -> Tensor:
    """Return queries @ keysᵀ; a batch of the smallest matrices is slow as a matrix product."""
    if queries.shape[-2] == 1:
        return torch.linalg.vecdot(queries, keys).unsqueeze(-1)
    return queries @ keys.transpose(-1, -2)


def _add_product(total: Tensor, weights: Tensor, rows: Tensor) -> None:
    """Add weights @ rows to `total`; a batch of the smallest matrices is slow as a matrix product."""
    n_rows = rows.shape[-2]
    if n_rows > 2:
        total.add_(weights @ rows)
        return
    for row in range(n_rows):
        total.addcmul_(weights[..., row : row + 1], rows[..., row : row + 1, :])
