"""AGaLiTe's frequencies and clock."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.fft import dct

from rllib_recattn.models.parts.oscillation import FrequencyChoice, Oscillation


def cosine_table(oscillation: Oscillation, steps: int) -> torch.Tensor:
    counts = oscillation.count(torch.zeros(1, 1, dtype=torch.float64), steps, None)
    return oscillation.cosines(counts)[0]


@pytest.mark.parametrize("r", [1, 2, 3, 4, 8])
def test_distinct_channels_separate_steps_exactly(r):
    table = cosine_table(Oscillation.of("distinct", r), 6 * r)
    products = table @ table.T

    m, n = torch.meshgrid(torch.arange(6 * r), torch.arange(6 * r), indexing="ij")
    interferes = ((m - n) % (2 * r) == 0) | ((m + n + 1) % (2 * r) == 0)
    torch.testing.assert_close(products * ~interferes, torch.zeros_like(products), rtol=0, atol=1e-12)
    torch.testing.assert_close(products.diagonal(), torch.full((6 * r,), r / 2, dtype=torch.float64))


@pytest.mark.parametrize("r", [1, 2, 3, 4, 8])
def test_dct2_separates_the_same_steps_and_never_changes_its_sign(r):
    table = cosine_table(Oscillation.of("dct2", r), 6 * r)
    m, n = torch.meshgrid(torch.arange(6 * r), torch.arange(6 * r), indexing="ij")
    interferes = ((m - n) % (2 * r) == 0) | ((m + n + 1) % (2 * r) == 0)
    torch.testing.assert_close(table @ table.T, interferes * torch.tensor(r / 2).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("r", [1, 2, 3, 4, 8])
def test_dct2_is_the_discrete_cosine_transform(r):
    """Of SciPy's, whose orthonormal transform of r numbers has a factor √(2/r)."""
    table = cosine_table(Oscillation.of("dct2", r), r)
    expected = torch.from_numpy(dct(np.eye(r), type=2, norm="ortho", axis=0)).T * math.sqrt(r / 2)
    torch.testing.assert_close(table, expected, rtol=0, atol=1e-12)


def test_published_channels_with_r_2_are_one():
    table = cosine_table(Oscillation.of("published", 2), 20)
    torch.testing.assert_close(table[:, 0], table[:, 1])


@pytest.mark.parametrize("r", [1, 2, 3, 5])
def test_the_papers_channels_are_its_own(r):
    """ω_j = 2πj/r for j = 0 … r, at t = 1, 2, …; j and r − j are one channel, at r = 1 both are constant."""
    table = cosine_table(Oscillation.of("paper", r), 12)
    expected = [[math.cos(2 * math.pi * j / r * t) for j in range(r + 1)] for t in range(1, 13)]
    torch.testing.assert_close(table, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(table, table.flip(1), rtol=0, atol=1e-12)
    if r == 1:
        torch.testing.assert_close(table, torch.ones_like(table), rtol=0, atol=1e-12)


CHOICES = get_args(FrequencyChoice)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_the_period_is_one(choice, r):
    oscillation = Oscillation.of(choice, r)
    steps = torch.arange(3 * oscillation.period, dtype=torch.float64)
    unwrapped = oscillation.cosines(steps[None])[0]
    torch.testing.assert_close(cosine_table(oscillation, len(steps)), unwrapped, rtol=0, atol=1e-12)


@pytest.mark.parametrize("choice", CHOICES)
def test_phases_are_exact_after_100_million_steps(choice):
    r, chunk = 3, 1_000_000
    oscillation = Oscillation.of(choice, r)
    clock = torch.zeros(1, 1)
    for _ in range(100):
        clock = (oscillation.count(clock, chunk, None)[:, -1:] + 1) % oscillation.period
    cosines = oscillation.cosines(oscillation.count(clock, 5, None))[0]

    lived = 100 * chunk + oscillation.offset
    expected = [[math.cos(omega * (lived + step)) for omega in oscillation.frequencies] for step in range(5)]
    amplitudes = torch.tensor(oscillation.amplitudes)
    torch.testing.assert_close(cosines, torch.tensor(expected) * amplitudes, rtol=0, atol=1e-5)


def test_a_first_step_restarts_the_clock():
    is_first = torch.tensor([[False, False, True, False]])
    clock = torch.tensor([[3.0]])
    assert Oscillation.of("distinct", 2).count(clock, 4, is_first).tolist() == [[3, 4, 0, 1]]
    assert Oscillation.of("published", 4).count(clock, 4, is_first).tolist() == [[3, 4, 0, 1]]
