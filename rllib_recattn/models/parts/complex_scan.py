"""The linear recurrence h_t = λ ⊙ h_{t−1} + b_t with complex λ that are the same at every step, in real numbers.

With λ = |λ| e^{iθ}, h_t e^{−iθt} obeys a recurrence with the real decay |λ|, such as
:mod:`rllib_recattn.models.parts.scan` reads: what is written is turned back by its step's angle, and what is read
turned on by it. Angles are counted from the beginning of a call, so no clock is needed, and a state means the same
wherever it is read on.

Shape suffixes: B rows of a batch, T steps, 2 for the real and the imaginary part.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rllib_recattn.models.parts.scan import linear_recurrence


def complex_recurrence(
    decay: Tensor, phase: Tensor, update: Tensor, initial: Tensor, is_first: Tensor | None
) -> Tensor:
    """Compute h_t = decay · e^{i phase} ⊙ h_{t−1} + update_t for t = 1 … T, with h_0 = initial.

    Args:
        decay: |λ| in [0, 1], with all dimensions behind the 2, of the same size or 1.
        phase: θ in radians, likewise.
        update: b [B, T, 2, …].
        initial: h_0 [B, 2, …].
        is_first: [B, T] booleans, true where what was before is forgotten before the step; or None.

    Returns:
        h_1 … h_T [B, T, 2, …].
    """
    n_steps = update.shape[1]
    decays = decay.expand(1, n_steps, 1, *decay.shape)
    if is_first is not None:
        decays = decays * ~is_first.view(*is_first.shape, *[1] * (decays.dim() - 2))
    # In float32 an angle of some thousand radians has no more than four digits behind the point.
    steps = torch.arange(1, n_steps + 1, device=phase.device, dtype=torch.float64)
    angles = steps.view(-1, *[1] * phase.dim()) * phase.double()
    cos, sin = torch.cos(angles).to(update.dtype), torch.sin(angles).to(update.dtype)
    turned_back = linear_recurrence(decays, _turned(update, cos, -sin), initial)
    return _turned(turned_back, cos, sin)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return x e^{iα} [B, T, 2, …], given cos α and sin α [T, …]."""
    real, imaginary = x.unbind(2)
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=2)
