"""The oscillating channels with which AGaLiTe approximates an outer-product memory.

AGaLiTe replaces the sum over steps n of v_n ⊗ k_n by r pairs of sums that are modulated by cosines, because
Σ_j cos(ω_j m) cos(ω_j n) approximates (a multiple of) δ(m − n): writes of different steps then do not mix when they
are read. How well it does so depends on the frequencies ω_j and on where time starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rllib_recattn.models.parts.counters import count_on, widened

FrequencyChoice = Literal["dct2", "distinct", "published", "paper"]


@dataclass(frozen=True)
class Oscillation:
    """Frequencies ω_j and a clock for cos(ω_j t).

    The clock is an integer step count modulo `period`, so that the phases are exact however long an agent lives:
    a float32 clock that only grows is off by 0.02 radians after 10⁶ steps, and worthless after 1.6 · 10⁷.

    It starts again with every episode. Where time starts is no matter of taste: in the image term below, and in all of
    what r ≥ 4 published channels read, it counts, and an agent that acts starts its episodes at 0.

    Attributes:
        frequencies: ω_1 … ω_r in radians per step, one for each channel.
        offset: t of an agent's first step; step n (from 0) uses t = n + offset.
        period: Number of steps after which every cosine repeats.
        amplitudes: a_1 … a_r, which the cosines are multiplied with.
    """

    frequencies: tuple[float, ...]
    offset: float
    period: int
    amplitudes: tuple[float, ...]

    @classmethod
    def of(cls, choice: FrequencyChoice, n_channels: int) -> Oscillation:
        """Return the oscillation named `choice` with r = `n_channels`, of which "paper" has one more.

        "dct2": ω_j = (j − 1)π / r and t = n + ½, with a_1 = √½ and 1 for the others: the basis of the discrete cosine
        transform, type II. Σ_j a_j² cos(ω_j t_m) cos(ω_j t_n) is 0 for two steps unless 2r divides m − n or m + n + 1,
        as with "distinct" below, and else r/2. It is never negative, since the first channel does not oscillate: the
        sum of what many steps have written, at a constant key, is read as one. With "distinct" its sign changes from
        step to step, unless the gates have learnt to write once: a bit that was learnt over 20 steps was read at chance
        over 40.

        "distinct": ω_j = (2j − 1)π / 2r and t = n + ½, the basis of type IV. Write D(k) = Σ_j cos(ω_j k) =
        sin(πk) / (2 sin(πk / 2r)): for integer k it is exactly 0 unless 2r divides k, where it is ±r. Hence
        Σ_j cos(ω_j t_m) cos(ω_j t_n) = ½ [D(m − n) + D(m + n + 1)]: two steps interfere only if 2r divides m − n or
        m + n + 1, and since 2n + 1 is odd, every step is written with the same energy r/2. The nearby choices fall
        short: ω_j = jπ/r leaves −1 in place of 0 for every odd m − n; the grid above with integer t writes nothing at
        all at the steps n ≡ r (mod 2r); and with ω_j = 2πj/r the channels j and r − j are one.

        "published": ω = linspace(−π, π, r) and t = n + 2, as the authors' implementation has them, for matching
        published results. There ω and −ω are one channel; with r = 2 both channels are (−1)^t. The authors' clock runs
        on through resets, so that what an episode computes depends on how many steps there were before it; with r ≤ 3
        it does not, up to signs of the memory that cancel out.

        "paper": ω_j = 2πj / r for j = 0 … r and t = n + 1, as the paper writes them. These are r + 1 channels, of which
        j and r − j are one. At r = 1, the paper's own value, both cosines are 1 at every step: nothing oscillates, and
        what is left is one sum of keys and one of values. The authors' code has two of its channels there, (−1)^t both,
        and so as large a state, of which half is wasted likewise.
        """
        amplitudes = (1.0,) * n_channels
        if choice == "dct2":
            multiples = tuple(math.pi * j / n_channels for j in range(n_channels))
            return cls(multiples, 0.5, period=2 * n_channels, amplitudes=(math.sqrt(0.5), *amplitudes[1:]))
        if choice == "distinct":
            odd_multiples = tuple(math.pi * (2 * j + 1) / (2 * n_channels) for j in range(n_channels))
            return cls(odd_multiples, 0.5, period=4 * n_channels, amplitudes=amplitudes)
        if choice == "paper":
            multiples = tuple(2 * math.pi * j / n_channels for j in range(n_channels + 1))
            return cls(multiples, 1.0, period=n_channels, amplitudes=(1.0, *amplitudes))
        if n_channels == 1:
            return cls((-math.pi,), 2.0, period=2, amplitudes=amplitudes)
        grid = tuple(-math.pi + 2 * math.pi * j / (n_channels - 1) for j in range(n_channels))
        return cls(grid, 2.0, period=2 * (n_channels - 1), amplitudes=amplitudes)

    def count(self, clock: Tensor, n_steps: int, is_first: Tensor | None) -> Tensor:
        """Return the step counts of the next `n_steps` steps.

        Args:
            clock: Steps so far modulo the period [B, 1].
            n_steps: T.
            is_first: [B, T] booleans, or None.

        Returns:
            Step counts modulo the period [B, T], in the clock's dtype, but at least float32.
        """
        return count_on(widened(clock), n_steps, is_first) % self.period

    def cosines(self, counts: Tensor) -> Tensor:
        """Return a_j cos(ω_j t) [B, T, r] for step counts [B, T]."""
        cosines = torch.cos((counts + self.offset).unsqueeze(-1) * counts.new_tensor(self.frequencies))
        return cosines * counts.new_tensor(self.amplitudes)
