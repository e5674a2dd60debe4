"""Rotation of keys and queries by the time between them, for outer-product memories (RoFormer, arXiv 2104.09864).

A memory that is read by content alone does not tell how long ago a key was written. With the features of keys and
queries in pairs, and every pair turned by its own angle θ_p with each step, what is read of a key depends on its age:

    o_t = Σ_j (R(tθ) q_t)ᵀ (R(jθ) k_j) v_j = Σ_j q_tᵀ R((j − t) θ) k_j v_j

RetNet (arXiv 2307.08621, section 2.1) has it, and state spaces with complex decays are alike. There t counts from the
beginning of an episode. Here it counts from the beginning of a call, and the memory that is handed on is turned back:

    S ← R(−θ) S        before each step, or        S ← R(−Tθ) S̃        once after T of them

where S̃ is the memory of the turned keys. So a state says of each key how old it is, means the same wherever it is read
on, and needs no clock, whose phase would be lost in float32. Both features of a pair have the same decay, with which a
turn may change places.

Shape letters: B rows of a batch, T steps, H heads, K and V widths of a head's keys and values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from rllib_recattn.errors import Settings, SettingsError

SHORTEST_PERIOD, LONGEST_PERIOD = 4.0, 256.0

SettingsT = TypeVar("SettingsT", bound="RotarySettings")


class RotarySettings(Settings, ABC):
    """What the settings of outer-product memories have besides whose keys can be rotated."""

    rotary: bool = Field(
        False,
        description="whether keys and queries are rotated by the steps between them, pairs of features with periods of "
        "4 to 256 steps",
    )

    @property
    @abstractmethod
    def key_width(self) -> int:
        """d_k, the width of a head's keys."""

    @model_validator(mode="after")
    def _check_pairs(self: SettingsT) -> SettingsT:
        if self.rotary and self.key_width % 2:
            raise SettingsError(
                f"rotary = True: rotates pairs of features, and keys have {self.key_width}: d_key should be even"
            )
        return self


def rotated(
    form: Callable[..., tuple[Tensor, Tensor]], query: Tensor, key: Tensor, *operands: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Read T steps with rotation.

    Args:
        form: Reads them without: called with query, key and the operands, returns outputs and the memory after the last
            step.
        query: q [B, T, H, K].
        key: k [B, T, H, K].
        operands: What it is given besides, at the end the memory before the first step [B, H, K, V], and `is_first` or
            None. Decays are those of heads, or the same for the features κ and κ + K/2.

    Returns:
        As `form`.
    """
    *others, initial, is_first = operands
    assert initial is not None
    n_steps = query.shape[1]
    if n_steps == 1:
        return form(query, key, *others, rotate(initial.mT, -1).mT, is_first)
    times = torch.arange(1, n_steps + 1)
    query, key = (rotate(x.transpose(1, 2), times).transpose(1, 2) for x in (query, key))
    output, memory = form(query, key, *others, initial, is_first)
    return output, rotate(memory.mT, -n_steps).mT


def rotate(x: Tensor, times: Tensor | int) -> Tensor:
    """Rotate the features κ and κ + K/2 of x by the angles t θ_κ.

    Args:
        x: [..., K]; [..., T, K] with several times.
        times: t, a number of steps, or whole numbers [T].

    Returns:
        R(tθ) x, of the shape of x.
    """
    # In float64 on the CPU: the angles of long rows are large, and not all accelerators have it.
    angles = torch.as_tensor(times).unsqueeze(-1) * _angles(x.shape[-1] // 2)
    cosine, sine = angles.cos().to(x), angles.sin().to(x)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)


def turn_of_a_step(width: int) -> tuple[float, ...]:
    """Return cos θ_κ and, behind them, sin θ_κ, for keys of that width."""
    angles = _angles(width // 2)
    return (*angles.cos().tolist(), *angles.sin().tolist())


def _angles(n_pairs: int) -> Tensor:
    """Return θ [K/2] as float64."""
    periods = torch.logspace(math.log2(SHORTEST_PERIOD), math.log2(LONGEST_PERIOD), n_pairs, 2, dtype=torch.float64)
    return 2 * math.pi / periods
