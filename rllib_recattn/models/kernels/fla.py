"""The fused recurrence of GLA and HGRN2 on CUDA, from the optional package flash-linear-attention.

Its kernel `fused_recurrent_gla` loops over the steps in one launch, in float32 throughout. It takes the logarithms of
the decays, so it is not used where steps start episodes, which is a decay of 0. The package's chunked kernels are left
alone: their matrix products round float32 to TF32, and outputs would depend on how a sequence is split into calls.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Up to here the package's own layers prefer the loop to its chunked kernels.
LONGEST_SEQUENCE = 64


def serve(query: Tensor) -> bool:
    """Whether the kernel can be used, and is worth it, for queries [B, T, H, K] like these."""
    return (
        query.is_cuda
        and query.dtype == torch.float32
        and query.shape[1] <= LONGEST_SEQUENCE
        and _fused_recurrence() is not None
    )


def gated_linear_attention(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, initial: Tensor
) -> tuple[Tensor, Tensor]:
    """Implement :func:`rllib_recattn.models.parts.gated_linear_attention.gated_linear_attention`, on CUDA.

    A decay that has underflowed to 0 counts as the smallest normal number, 10⁻³⁸.

    Raises:
        RuntimeError: If the package is not installed.
    """
    fused_recurrence = _fused_recurrence()
    if fused_recurrence is None:
        raise RuntimeError("flash-linear-attention is not installed")
    log_decay = decay.clamp(min=torch.finfo(decay.dtype).tiny).log()
    output, memory = fused_recurrence(
        query, key, value, gk=log_decay, scale=1.0, initial_state=initial, output_final_state=True
    )
    return output, memory


@cache
def _fused_recurrence() -> Any:
    try:
        return importlib.import_module("fla.ops.gla").fused_recurrent_gla
    except ImportError:
        return None
