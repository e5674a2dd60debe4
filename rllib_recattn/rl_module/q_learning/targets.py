"""What Q-values are to become: n-step returns, and the scale on which they are learnt.

Shape suffixes: B rows, T steps.
"""

from __future__ import annotations

from torch import Tensor, cat, sign, sqrt, where

_EPSILON = 1e-3  # ε of h, as in R2D2


def rescale(x: Tensor) -> Tensor:
    """Return h(x) = sign(x) (√(|x| + 1) − 1) + ε x (Pohlen et al., 2018, arXiv 1805.11593, equation 1)."""
    return sign(x) * (sqrt(x.abs() + 1) - 1) + _EPSILON * x


def undo_rescale(y: Tensor) -> Tensor:
    """Return h⁻¹(y), computed in float64: the difference of two numbers near 1 is divided by ε."""
    z = y.double()
    root = sqrt(1 + 4 * _EPSILON * (z.abs() + 1 + _EPSILON))
    return (sign(z) * (((root - 1) / (2 * _EPSILON)) ** 2 - 1)).to(y.dtype)


def n_step_returns(
    rewards: Tensor, values: Tensor, has_next: Tensor, terminated: Tensor, n_step: int, gamma: float
) -> Tensor:
    """Return r_t + γ r_{t+1} + … + γⁿ V_{t+n}, with fewer rewards where the sequence ends before.

    Args:
        rewards: Of each step [B, T].
        values: V_t, those of the observations of the steps [B, T].
        has_next: Whether the step after is of the same sequence [B, T]: false where others bootstrap from.
        terminated: Whether the episode ends by itself with the step [B, T].
        n_step: n.
        gamma: γ.

    Returns:
        [B, T]; without meaning where `has_next` is false.
    """
    discounts = gamma * (~terminated).to(rewards.dtype)
    returns = values
    for _ in range(n_step):
        following = cat([returns[:, 1:], returns[:, -1:]], dim=1)
        returns = where(has_next, rewards + discounts * following, values)
    return returns
