"""The probe, on states whose content is known."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection.decoding import CueSamples, count_told_right
from tests.experiment.inspection.episodes import acted, small_module

N, FORGOTTEN_AT, LENGTH = 60, 4, 7


@pytest.fixture(scope="module")
def template():
    return acted(small_module("lstm", gym.spaces.Discrete(2)), LENGTH)


def samples(template, cue_step=0, n_cues=3, lengths=(LENGTH,)):
    """Episodes whose states hold one of `n_cues` cues among noise, from its step until it is forgotten."""
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    gathered = CueSamples(cue_step)
    for index in range(N):
        length, cue = lengths[index % len(lengths)], int(rng.integers(n_cues))
        states = torch.randn(length, 40, generator=generator)
        states[cue_step:FORGOTTEN_AT, cue] += 6.0
        observations = [np.array([cue if t == cue_step else 0.0, 1.0]) for t in range(length)]
        gathered.add(replace(template, states={"state": states}, observations=observations, rewards=np.zeros(length)))
    return gathered


@pytest.mark.parametrize("cue_step", [0, 2])
def test_accuracy_is_high_while_the_cue_is_there_and_at_chance_after(template, cue_step):
    decoding = samples(template, cue_step).decode()
    assert decoding.n_classes == 3
    assert decoding.steps == tuple(range(cue_step, LENGTH))
    assert decoding.n_episodes == (N,) * (LENGTH - cue_step)
    known = [interval.mean for interval in decoding.accuracy[: FORGOTTEN_AT - cue_step]]
    forgotten = [interval.mean for interval in decoding.accuracy[FORGOTTEN_AT - cue_step :]]
    assert min(known) > 0.95
    assert max(forgotten) < decoding.chance + 0.2
    assert all(interval.low <= interval.mean <= interval.high for interval in decoding.accuracy)


def test_each_step_has_the_episodes_that_lasted(template):
    decoding = samples(template, n_cues=2, lengths=(LENGTH, 3)).decode()
    assert decoding.n_episodes == (N, N, N, N // 2, N // 2, N // 2, N // 2)


def test_a_probe_never_sees_what_it_is_tested_on():
    """With more numbers than samples any labels can be fitted, but not told."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(200, 500, generator=generator, dtype=torch.float64)
    labels = torch.randint(2, (200,), generator=generator)
    assert 70 < count_told_right(states, labels) < 130
    states[:, 7] = labels.double()
    states[:, 8] = 3.0  # which never varies
    states[:, :7] = 0.0
    assert count_told_right(states[:, :9], labels) == 200


@pytest.mark.parametrize("n_cues", [1, 40])
def test_cues_that_are_not_a_few_are_refused(template, n_cues):
    with pytest.raises(SettingsError, match=r"--episodes 60: at step 0 .* a probe needs 2 to 10 that recur"):
        samples(template, n_cues=n_cues).decode()
