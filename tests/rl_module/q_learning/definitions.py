"""Targets of Q-learning from their definitions, one step at a time, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np


def h(x: float) -> float:
    return float(np.sign(x) * (np.sqrt(abs(x) + 1) - 1) + 1e-3 * x)


def h_inverse(y: float) -> float:
    """The root of h(x) = y, by bisection."""
    low, high = -1e8, 1e8
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if h(middle) < y else (low, middle)
    return (low + high) / 2


def target_of(
    i: int, rewards: np.ndarray, q_values: np.ndarray, target: np.ndarray, terminated: bool, case: Any
) -> float:
    """Return what the Q-value of the action at step i of a sequence is to become.

    Args:
        i: The step.
        rewards: [L].
        q_values: [L + 1, A].
        target: [L + 1, A], of the target network.
        terminated: Whether the episode ended by itself with the sequence.
        case: Has ``n_step``, ``double_q``, ``gamma`` and ``value_rescaling``.
    """
    n = min(case.n_step, len(rewards) - i)
    total = sum(case.gamma**k * float(rewards[i + k]) for k in range(n))
    if not (terminated and i + n == len(rewards)):
        chooses = q_values if case.double_q else target
        value = float(target[i + n, int(np.argmax(chooses[i + n]))])
        total += case.gamma**n * (h_inverse(value) if case.value_rescaling else value)
    return h(total) if case.value_rescaling else total
