"""How far apart two distributions of actions are: a number between 0, the same, and 1, nothing in common."""

from __future__ import annotations

import gymnasium as gym
import torch
from torch import Tensor

from rllib_recattn.errors import SettingsError


def distance_name(action_space: gym.Space) -> str:
    """Name the distance that is taken for a space.

    Raises:
        SettingsError: If there is none.
    """
    if isinstance(action_space, gym.spaces.Discrete):
        return "total variation"
    if isinstance(action_space, gym.spaces.MultiDiscrete):
        return "total variation of the component that moves most"
    if isinstance(action_space, gym.spaces.Box):
        return "Hellinger distance"
    raise SettingsError(
        f"--of action: no distance is known for actions of {type(action_space).__name__} spaces; should be 'value'"
    )


def action_distance(action_space: gym.Space, logits: Tensor, others: Tensor) -> Tensor:
    r"""Compare distributions of actions.

    Discrete: the total variation :math:`\frac12 \sum_a |p(a) - q(a)|`, the probability with which the action is
    another one if the two are drawn as alike as can be. MultiDiscrete: that of the component whose is largest, a lower
    bound of that of all together. Box, diagonal Gaussians with means μ, ν and standard deviations σ, τ: the Hellinger
    distance :math:`\sqrt{1 - \prod_i \sqrt{2 σ_i τ_i / (σ_i^2 + τ_i^2)} \exp(-(μ_i - ν_i)^2 / 4 (σ_i^2 + τ_i^2))}`,
    whose square is at most the total variation.

    Args:
        action_space: Discrete, MultiDiscrete or Box.
        logits: Parameters of distributions [..., K], of a Box the means and the logarithms of the deviations.
        others: Of others, of a shape that broadcasts.

    Returns:
        [...], in [0, 1].

    Raises:
        SettingsError: If the space is another.
    """
    distance_name(action_space)
    if isinstance(action_space, gym.spaces.Box):
        return _hellinger(logits.double(), others.double())
    is_one = isinstance(action_space, gym.spaces.Discrete)
    sizes = [int(action_space.n)] if is_one else action_space.nvec.flatten().tolist()  # type: ignore[attr-defined]
    parts = zip(logits.double().split(sizes, dim=-1), others.double().split(sizes, dim=-1), strict=True)
    distances = [(p.softmax(-1) - q.softmax(-1)).abs().sum(-1) / 2 for p, q in parts]
    return torch.stack(distances).amax(0)


def _hellinger(one: Tensor, other: Tensor) -> Tensor:
    (mean, log_std), (other_mean, other_log_std) = one.chunk(2, dim=-1), other.chunk(2, dim=-1)
    # Of logarithms, so that no deviation is too small or too large.
    larger = torch.maximum(log_std, other_log_std)
    ratio = torch.minimum(log_std, other_log_std) - larger
    scale = (1 + (2 * ratio).exp()) / 2  # (σ² + τ²) / 2, in units of the larger variance
    away = ((mean - other_mean) * (-larger).exp()).square() / (8 * scale)
    log_affinity = ((ratio - scale.log()) / 2 - away).sum(-1)
    return (-torch.expm1(log_affinity)).clamp(0, 1).sqrt()
