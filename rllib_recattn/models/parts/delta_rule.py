"""The memory of the delta rule, which writes what it does not hold already, with or without a decay.

    S ← Diag(α_t) S_{t−1}      S_t = S + β_t k_t (v_t − Sᵀ k_t)ᵀ      o_t = S_tᵀ q_t

With a k_t of length 1 and β_t = 1, S_tᵀ k_t is v_t whatever was there: a key is written over, where a sum of outer
products would add to it.

Sequences are read in chunks, in the WY form (DeltaNet, arXiv 2406.06484, section 3; with decays: Gated DeltaNet, arXiv
2412.06464, section 3.3). What the step i of a chunk adds to its key, u_i = β_i (v_i − Sᵀ k_i), depends on what the
steps before it have added. With S the memory before a chunk of C steps, b_i = α_1 ⊙ … ⊙ α_i, c_j = α_{j+1} ⊙ … ⊙ α_C
and

    A_ij = Σ_κ q_iκ k_jκ α_{j+1,κ} ⋯ α_iκ      G_ij = Σ_κ k_iκ k_jκ α_{j+1,κ} ⋯ α_iκ

all u_i of the chunk are the solution U of a triangular system, and the rest is as for the gated outer product:

    (1 + Diag(β) tril(G, −1)) U = Diag(β) (V − (b ⊙ K) S)
    o_i = Sᵀ (b_i ⊙ q_i) + Σ_{j ≤ i} A_ij u_j      S ← Diag(b_C) S + Σ_j (c_j ⊙ k_j) u_jᵀ

The products of decays are worked out in :mod:`rllib_recattn.models.parts.chunks`: every decay in [0, 1] is exact, among
them the 0 that forgets an earlier episode.

Shape letters: B rows of a batch, T steps, H heads, K and V widths of a head's keys and values, C steps of a chunk.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rllib_recattn.models.kernels.library import serve
from rllib_recattn.models.kernels.outer_products import remember
from rllib_recattn.models.parts.chunks import chunk_size_of, decays_within_chunk, in_chunks, within_chunk
from rllib_recattn.models.parts.mixed_precision import without_autocast

CHUNK_SIZE = 32  # as for the gated outer product


@without_autocast
def delta_rule(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    beta: Tensor,
    decay: Tensor,
    initial: Tensor,
    is_first: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Write T steps to the memory and read it after each.

    Args:
        query: q [B, T, H, K].
        key: k [B, T, H, K]; longer than √2, it may make the memory grow without bounds.
        value: v [B, T, H, V].
        beta: β [B, T, H], in [0, 1].
        decay: α [B, T, H, K], or [B, T, H, 1] for one of all of a head's features, in [0, 1].
        initial: The memory before the first step [B, H, K, V].
        is_first: [B, T] booleans, true where the memory is emptied before the step; or None.

    Returns:
        o [B, T, H, V] and the memory after the last step [B, H, K, V].
    """
    if is_first is not None:
        decay = decay.masked_fill(is_first[:, :, None, None], 0)
    if query.shape[1] == 1:
        return _one_step(query, key, value, beta, decay, initial)
    if serve(query, key, value, beta, decay, initial):
        return remember(query, key, value, decay, beta, initial)
    return chunkwise(query, key, value, beta, decay, initial)


def _one_step(
    query: Tensor, key: Tensor, value: Tensor, beta: Tensor, decay: Tensor, initial: Tensor
) -> tuple[Tensor, Tensor]:
    """Implement :func:`delta_rule`, for T = 1."""
    kept = decay[:, 0].unsqueeze(-1) * initial
    key = key[:, 0].unsqueeze(-1)
    missing = value[:, 0].unsqueeze(-2) - key.mT @ kept
    memory = torch.addcmul(kept, beta[:, 0, :, None, None] * key, missing)
    return (query[:, 0].unsqueeze(-2) @ memory).transpose(1, 2), memory


def chunkwise(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    beta: Tensor,
    decay: Tensor,
    initial: Tensor,
    chunk_size: int = CHUNK_SIZE,
) -> tuple[Tensor, Tensor]:
    """Implement :func:`delta_rule`, in chunks of `chunk_size` steps, a power of two.

    A sequence that is shorter than that is one chunk; the last chunk is filled up with steps that change nothing.
    """
    n_steps = query.shape[1]
    chunk_size = chunk_size_of(n_steps, chunk_size)
    beta = beta.unsqueeze(-1)
    query, key, value, beta = (in_chunks(x, chunk_size, filler=0.0) for x in (query, key, value, beta))
    decay = in_chunks(decay, chunk_size, filler=1.0)

    if decay.shape[-1] == 1:
        left, from_start, to_end, whole_decay = decays_within_chunk(decay)
        scores, overlaps = (each @ key.mT * left for each in (query, key))
        query_from_start, key_from_start, key_to_end = query * from_start, key * from_start, key * to_end
    else:
        scores, query_from_start, key_to_end, whole_decay = within_chunk(query, key, decay)
        overlaps, key_from_start, *_ = within_chunk(key, key, decay)
    written, read = _solve(beta * overlaps, beta * value, beta * key_from_start)

    memory, outputs = initial, []
    whole_decay = whole_decay.unsqueeze(-1)
    for chunk in range(query.shape[1]):
        update = written[:, chunk] - read[:, chunk] @ memory
        outputs.append(query_from_start[:, chunk] @ memory + scores[:, chunk] @ update)
        memory = whole_decay[:, chunk] * memory + key_to_end[:, chunk].mT @ update
    return torch.stack(outputs, dim=1).transpose(2, 3).flatten(1, 2)[:, :n_steps], memory


def _solve(overlaps: Tensor, *right: Tensor) -> list[Tensor]:
    """Return the solutions X [..., C, N] of (1 + tril(overlaps, −1)) X = each of `right`."""
    sizes = [each.shape[-1] for each in right]
    joined = torch.cat(right, dim=-1)
    dtype = torch.promote_types(joined.dtype, torch.float32)  # PyTorch solves no system in half precision
    solution = torch.linalg.solve_triangular(overlaps.to(dtype), joined.to(dtype), upper=False, unitriangular=True)
    return list(solution.to(joined.dtype).split(sizes, dim=-1))
