"""Attention over a sliding window of the past with relative positions, as Transformer-XL has it.

Step t of a chunk attends to itself and at most the M steps before it, with the score

    score(t, j) = (q_t + u) · k_j + (q_t + v) · R_{t−j},        R_p = W_R sinusoid(p)

(Transformer-XL, arXiv 1901.02860, section 3.3). Queries come with u or v added and the scale 1/√d applied.

Shape suffixes: B rows of a batch, T steps, M steps of memory, H heads, d features of a head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.models.parts.counters import count_on, widened
from rllib_recattn.models.parts.graphs import in_graph
from rllib_recattn.models.parts.mixed_precision import without_autocast

# Queries that share a matrix product on the CPU. Each reads M + BLOCK_STEPS keys, of which it needs M + 1: smaller
# blocks waste less, larger ones make better matrix products.
BLOCK_STEPS = 64


def sinusoid_table(n_positions: int, n_features: int) -> Tensor:
    """Return sinusoid(p) = [sin(p f_i), cos(p f_i)], f_i = 10000^(−2i/D), for p = 0 … n_positions − 1, in float64.

    Args:
        n_positions: P.
        n_features: D; when it is odd, the last cosine is missing.

    Returns:
        Embeddings [P, D] (Vaswani et al., 2017, arXiv 1706.03762, section 3.5, with sines before cosines).
    """
    exponents = torch.arange(0, n_features, 2, dtype=torch.float64) / n_features
    angles = torch.arange(n_positions, dtype=torch.float64)[:, None] * 10000.0**-exponents
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :n_features]


def steps_in_reach(count: Tensor, n_steps: int, is_first: Tensor | None, memory_length: int) -> Tensor:
    """Count the earlier steps of its own episode that each step attends to.

    Args:
        count: How many steps the memory holds [B, 1].
        n_steps: T.
        is_first: [B, T] booleans, or None.
        memory_length: M.

    Returns:
        [B, T], each at most M, in the dtype of `count`.
    """
    reach = count_on(widened(count), n_steps, is_first)
    return reach.clamp(max=memory_length).to(count.dtype)


def step_mask(reach: Tensor, memory_length: int) -> Tensor:
    """Return what is added to the scores of a lone step: 0 within its reach, −∞ outside.

    Args:
        reach: How many earlier steps it attends to [B, 1].
        memory_length: M.

    Returns:
        A mask [B, 1, M + 1] for the step itself and the M steps before it, the newest first.
    """
    return _mask(torch.arange(memory_length + 1, device=reach.device) <= widened(reach).unsqueeze(-1), reach.dtype)


def window_masks(reach: Tensor, memory_length: int) -> list[Tensor]:
    """Return what is added to the scores of each block of steps of a chunk: 0 within a step's reach, −∞ outside.

    Args:
        reach: How many earlier steps each step attends to [B, T]; see :func:`steps_in_reach`.
        memory_length: M.

    Returns:
        A mask [B, C, M + C] for each block of C steps. Its columns are the M steps before the block and the block.
    """
    block_steps = BLOCK_STEPS if _in_blocks(reach) else reach.shape[1]
    masks = []
    for block in widened(reach).split(block_steps, dim=1):
        n_steps = block.shape[1]
        steps = torch.arange(memory_length + n_steps, device=reach.device)
        ages = steps[memory_length:, None] - steps
        masks.append(_mask((ages >= 0) & (ages <= block.unsqueeze(-1)), reach.dtype))
    return masks


def _mask(in_reach: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(in_reach.shape, dtype=dtype, device=in_reach.device).masked_fill_(~in_reach, -torch.inf)


def step_attention(queries: Tensor, window: Tensor, sinusoids: Tensor, mask: Tensor) -> Tensor:
    """Let a single step attend to what keys and values would be made of, without making them.

    Args:
        queries: W_Rᵀ (q + v) / √d and W_kᵀ (q + u) / √d [2, H, B, D].
        window: The inputs of W_k and W_v, of the step itself first and then of the M steps before it [B, M + 1, D].
        sinusoids: sinusoid(0) … sinusoid(M) [M + 1, D].
        mask: 0 within the step's reach, −∞ outside [B, 1, M + 1].

    Returns:
        The mean of the window under each head's probabilities [B, H, D].
    """
    position_query, content_query = queries
    bias = (position_query @ sinusoids.mT).transpose(0, 1) + mask
    # All heads read the same window: to the fused kernel they are H queries of one head.
    query, window, bias = (x.unsqueeze(1) for x in (content_query.transpose(0, 1), window, bias))
    return nn.functional.scaled_dot_product_attention(query, window, window, bias, scale=1.0).squeeze(1)


def window_attention(queries: Tensor, keys_values: Tensor, positions: Tensor, masks: list[Tensor]) -> Tensor:
    """Let each step of a chunk attend to its window.

    Args:
        queries: (q_t + v) / √d and (q_t + u) / √d [2, B, T, H, d].
        keys_values: k and v of the M steps before the chunk and of the chunk [B, M + T, 2, H, d].
        positions: R_M … R_0 [M + 1, H, d], the oldest first.
        masks: Of the chunk's blocks; see :func:`window_masks`.

    Returns:
        What each head reads [B, T, H, d].
    """
    if not _in_blocks(queries):
        return window_attention_dense(queries, keys_values, positions, masks[0])
    return _window_attention_in_blocks(queries, keys_values, positions, masks)


@without_autocast
def _window_attention_in_blocks(*operands: Any) -> Tensor:
    attended: Tensor = _BlockwiseAttention.apply(*operands)
    return attended


def _in_blocks(x: Tensor) -> bool:
    """Whether to attend by blocks of steps: on a CPU, but in half precision, whose products know no bands there."""
    return x.device.type == "cpu" and x.dtype.itemsize >= 4 and not in_graph()


def window_attention_dense(queries: Tensor, keys_values: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
    """Compute :func:`window_attention` in few large operations, for accelerators, with one mask [B, T, M + T]."""
    position_query, content_query = queries.transpose(-2, -3)
    keys, values = keys_values.permute(2, 0, 3, 1, 4)
    n_steps, n_keys = mask.shape[1:]
    by_age = position_query @ positions.permute(1, 2, 0)
    # Step t's M + 1 scores belong to the keys t … t + M: rows that are read one number short move by one each.
    padded = nn.functional.pad(by_age, (0, n_steps)).flatten(2)
    bias = padded[..., : n_steps * n_keys].unflatten(-1, (n_steps, n_keys)) + mask.unsqueeze(1)
    attended = nn.functional.scaled_dot_product_attention(content_query, keys, values, bias, scale=1.0)
    return attended.transpose(1, 2)


@without_autocast
def window_probabilities(queries: Tensor, keys_values: Tensor, positions: Tensor, masks: list[Tensor]) -> Tensor:
    """Compute the probabilities of :func:`window_attention`, which keeps them to itself.

    Args:
        queries: As there.
        keys_values: As there.
        positions: As there.
        masks: As there.

    Returns:
        [B, T, H, M + 1], of the step itself and of the M steps before it, the newest first.
    """
    position_query, content_query = queries.transpose(-2, -3)
    keys = keys_values[:, :, 0].permute(0, 2, 3, 1)
    by_age = position_query @ positions.permute(1, 2, 0)
    blocks = []
    for mask, (steps, span) in zip(masks, _places(masks), strict=True):
        scores = content_query[:, :, steps] @ keys[..., span] + mask.unsqueeze(1)
        band = _band(scores.flatten(0, 1)).unflatten(0, scores.shape[:2])
        blocks.append((band + by_age[:, :, steps]).softmax(dim=-1))
    return torch.cat(blocks, dim=2).flip(-1).transpose(1, 2)


class _BlockwiseAttention(torch.autograd.Function):
    """The attention by blocks of steps and by heads, so that the scores stay in the processor's cache.

    Backward, with P the probabilities, S the scores and g the gradient of the output O = P V:
    ∂V = Pᵀ g,  ∂P = g Vᵀ,  ∂S = P ⊙ (∂P − Σ_d g ⊙ O);  ∂S goes back to queries, keys and positions as S came from them.
    """

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys_values: Tensor, positions: Tensor, masks: list[Tensor]) -> Tensor:
        position_query, content_query = queries
        keys, values = keys_values.unbind(2)
        n_rows, _, n_heads, _ = content_query.shape
        attended = torch.empty_like(content_query, memory_format=torch.contiguous_format)
        probabilities = [mask.new_empty(n_heads, *mask.shape) for mask in masks]
        for mask, block, (steps, span) in zip(masks, probabilities, _places(masks), strict=True):
            for head, scores in enumerate(block):
                torch.bmm(content_query[:, steps, head], keys[:, span, head].mT, out=scores)
                _band(scores).baddbmm_(position_query[:, steps, head], positions[:, head].mT.expand(n_rows, -1, -1))
                scores += mask
                torch.softmax(scores, dim=-1, out=scores)
                torch.bmm(scores, values[:, span, head], out=attended[:, steps, head])
        ctx.save_for_backward(queries, keys_values, positions, attended, *probabilities)
        return attended

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys_values, positions, attended, *probabilities = ctx.saved_tensors
        position_query, content_query = queries
        keys, values = keys_values.unbind(2)
        grad_queries, grad_keys_values, grad_positions = map(_zeros, (queries, keys_values, positions))
        grad_position_query, grad_content_query = grad_queries
        grad_keys, grad_values = grad_keys_values.unbind(2)
        along_output = torch.linalg.vecdot(grad, attended).unsqueeze(-1)
        for block, (steps, span) in zip(probabilities, _places(probabilities), strict=True):
            grad_scores = torch.empty_like(block[0])
            band = _band(grad_scores)
            for head, probability in enumerate(block):
                grad_head = grad[:, steps, head]
                torch.bmm(grad_head, values[:, span, head].mT, out=grad_scores)
                grad_scores.sub_(along_output[:, steps, head]).mul_(probability)
                position = positions[:, head].expand(len(grad), -1, -1)
                torch.bmm(grad_scores, keys[:, span, head], out=grad_content_query[:, steps, head])
                torch.bmm(band, position, out=grad_position_query[:, steps, head])
                grad_values[:, span, head].baddbmm_(probability.mT, grad_head)
                grad_keys[:, span, head].baddbmm_(grad_scores.mT, content_query[:, steps, head])
                grad_positions[:, head].addbmm_(band.mT, position_query[:, steps, head])
        return grad_queries, grad_keys_values, grad_positions, None


def _zeros(like: Tensor) -> Tensor:
    return torch.zeros_like(like, memory_format=torch.contiguous_format)


def _places(blocks: list[Tensor]) -> Iterator[tuple[slice, slice]]:
    """Yield where the steps of each block [..., C, M + C] and the keys that they may read lie in their sequences."""
    start = 0
    for block in blocks:
        n_steps, n_keys = block.shape[-2:]
        yield slice(start, start + n_steps), slice(start, start + n_keys)
        start += n_steps


def _band(scores: Tensor) -> Tensor:
    """View the keys t … t + M of each step t of a block [B, C, M + C] as [B, C, M + 1]."""
    n_rows, n_steps, n_keys = scores.shape
    return scores.as_strided(
        (n_rows, n_steps, n_keys - n_steps + 1), (n_steps * n_keys, n_keys + 1, 1), scores.storage_offset()
    )
