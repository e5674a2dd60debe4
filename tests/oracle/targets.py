"""Advantages and value targets, from their definitions."""

from __future__ import annotations

import numpy as np


def generalised_advantages(
    rewards: np.ndarray, values: np.ndarray, terminated: bool, gamma: float, lambda_: float
) -> np.ndarray:
    """GAE (arXiv 1506.02438) of a chunk of T steps, as sums of its temporal differences.

    Args:
        rewards: [T].
        values: [T + 1], the last one of the observation behind the chunk.
        terminated: Whether the episode ended by itself with the chunk.
        gamma: γ.
        lambda_: λ.

    Returns:
        [T].
    """
    length = len(rewards)
    following = values[1:].copy()
    following[-1] *= not terminated
    differences = rewards + gamma * following - values[:-1]
    return np.array(
        [sum((gamma * lambda_) ** (s - t) * differences[s] for s in range(t, length)) for t in range(length)]
    )


def vtrace(
    rewards: np.ndarray, values: np.ndarray, log_rhos: np.ndarray, terminated: bool, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """V-trace (arXiv 1802.01561, equation 1) of a row of T steps, clipped at 1.

    Args:
        rewards: [T].
        values: [T + 1], the last one of the observation behind the row.
        log_rhos: Logarithms of the importance weights [T].
        terminated: Whether the episode ended by itself with the row.
        gamma: γ.

    Returns:
        The targets v_s and the advantages ρ_s (r_s + γ v_{s+1} − V(s)), [T] each.
    """
    length = len(rewards)
    following = values[1:].copy()
    following[-1] *= not terminated
    weights = np.minimum(np.exp(log_rhos), 1)
    differences = weights * (rewards + gamma * following - values[:-1])
    targets = np.array(
        [
            values[s] + sum(gamma ** (t - s) * np.prod(weights[s:t]) * differences[t] for t in range(s, length))
            for s in range(length)
        ]
    )
    next_targets = np.append(targets[1:], following[-1])
    return targets, weights * (rewards + gamma * next_targets - values[:-1])
