"""The gated outer-product memory of linear attention, S_t = Diag(α_t) S_{t−1} + k_t v_tᵀ, read as o_t = S_tᵀ q_t.

Sequences are read in chunks (GLA, arXiv 2312.06635, section 4). With S the memory before a chunk of C steps,
b_i = α_1 ⊙ … ⊙ α_i and c_j = α_{j+1} ⊙ … ⊙ α_C,

    o_i = Sᵀ (b_i ⊙ q_i) + Σ_{j ≤ i} A_ij v_j      A_ij = Σ_κ q_iκ k_jκ α_{j+1,κ} ⋯ α_iκ
    S ← Diag(b_C) S + Σ_j (c_j ⊙ k_j) v_jᵀ

so that only the memories between chunks are kept, and all else is matrix products; what belongs to one chunk is worked
out in :mod:`rllib_recattn.models.parts.chunks`.

Shape letters: B rows of a batch, T steps, H heads, K and V widths of a head's keys and values, C steps of a chunk.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rllib_recattn.models.kernels import fla
from rllib_recattn.models.kernels.library import serve
from rllib_recattn.models.kernels.outer_products import remember
from rllib_recattn.models.parts.chunks import chunk_size_of, decays_within_chunk, in_chunks, within_chunk
from rllib_recattn.models.parts.mixed_precision import without_autocast
from rllib_recattn.models.parts.scan import linear_recurrence

# The fastest of 8, 16, 32 and 64 or within a tenth of it, at every size that was measured; a loop over the steps takes
# 1.5 times as long or more for 20 steps, and 4 to 5 times for 64 and 128: benchmarks/models/chunkwise.json.
CHUNK_SIZE = 32


class NormalisedMemory(NamedTuple):
    """What is read from a memory that keeps the sum of its keys as well, and the two of them after the last step.

    Attributes:
        values: o [B, T, H, V].
        weights: The sum of the weights with which the values of all steps stand in o, z_t · q_t [B, T, H, 1].
        memory: S [B, H, K, V].
        keys: z [B, H, K].
    """

    values: Tensor
    weights: Tensor
    memory: Tensor
    keys: Tensor


def normalised_linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decay: Tensor,
    memory: Tensor,
    keys: Tensor,
    is_first: Tensor | None = None,
) -> NormalisedMemory:
    """Write T steps to the memory and, by the same decays, to the sum of the keys, z_t = α_t ⊙ z_{t−1} + k_t.

    The arguments are those of :func:`gated_linear_attention`, with z before the first step [B, H, K] besides.
    """
    # z is one more column of S, whose value is always 1.
    value = torch.cat([value, torch.ones_like(value[..., :1])], dim=-1)
    joined = torch.cat([memory, keys.unsqueeze(-1)], dim=-1)
    read, joined = gated_linear_attention(query, key, value, decay, joined, is_first)
    return NormalisedMemory(read[..., :-1], read[..., -1:], joined[..., :-1], joined[..., -1])


@without_autocast
def gated_linear_attention(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, initial: Tensor, is_first: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Write T steps to the memory and read it after each.

    Args:
        query: q [B, T, H, K]; as the key, [B, T, 1, K] for one of all heads where α is [B, T, H, 1].
        key: k [B, T, H, K].
        value: v [B, T, H, V].
        decay: α [B, T, H, K], or [B, T, H, 1] for one of all of a head's features, in [0, 1].
        initial: The memory before the first step [B, H, K, V].
        is_first: [B, T] booleans, true where the memory is emptied before the step; or None.

    Returns:
        o [B, T, H, V] and the memory after the last step [B, H, K, V].
    """
    if is_first is not None:
        decay = decay.masked_fill(is_first[:, :, None, None], 0)
    if query.shape[1] == 1:
        return _one_step(query, key, value, decay, initial)
    if is_first is None and decay.shape == key.shape and fla.serve(query):
        return fla.gated_linear_attention(query, key, value, decay, initial)
    if serve(query, key, value, decay, initial):
        query, key, decay = (x.expand(-1, -1, value.shape[2], -1) for x in (query, key, decay))
        return remember(query, key, value, decay, None, initial)
    return chunkwise(query, key, value, decay, initial)


def _one_step(query: Tensor, key: Tensor, value: Tensor, decay: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    """Implement :func:`gated_linear_attention`, for T = 1."""
    # In place: one tensor of the memory's size, whose pages cost more than the arithmetic when they are fresh.
    memory = (decay[:, 0].unsqueeze(-1) * initial).addcmul_(key[:, 0].unsqueeze(-1), value[:, 0].unsqueeze(-2))
    return (query[:, 0].unsqueeze(-2) @ memory).transpose(1, 2), memory


def chunkwise(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, initial: Tensor, chunk_size: int = CHUNK_SIZE
) -> tuple[Tensor, Tensor]:
    """Implement :func:`gated_linear_attention`, in chunks of `chunk_size` steps, a power of two.

    A sequence that is shorter than that is one chunk; the last chunk is filled up with steps that change nothing.
    """
    n_steps = query.shape[1]
    chunk_size = chunk_size_of(n_steps, chunk_size)
    query, key, value = (in_chunks(x, chunk_size, filler=0.0) for x in (query, key, value))
    decay = in_chunks(decay, chunk_size, filler=1.0)

    if decay.shape[-1] == 1:
        left, from_start, to_end, whole_decay = decays_within_chunk(decay)
        scores, query_from_start, key_to_end = query @ key.mT * left, query * from_start, key * to_end
    else:
        scores, query_from_start, key_to_end, whole_decay = within_chunk(query, key, decay)
    memories = linear_recurrence(whole_decay.unsqueeze(-1), key_to_end.transpose(-1, -2) @ value, initial)
    *between, last = memories.unbind(1)
    output = scores @ value + query_from_start @ torch.stack([initial, *between], dim=1)
    return output.transpose(2, 3).flatten(1, 2)[:, :n_steps], last
