"""Distances between distributions of actions, against sums and integrals."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.inspection.distance import action_distance, distance_name


def test_total_variation_of_discrete_actions():
    space = gym.spaces.Discrete(3)
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.6, 0.3])
    assert float(action_distance(space, p.log(), q.log() + 5)) == pytest.approx(0.6)
    assert float(action_distance(space, p.log(), p.log())) == pytest.approx(0, abs=1e-7)
    far = torch.tensor([[1e4, 0, 0], [0, 1e4, 0.0]])
    assert float(action_distance(space, far[0], far[1])) == 1.0


def test_of_several_discrete_actions_the_one_that_moves_most():
    space = gym.spaces.MultiDiscrete([2, 3])
    one = torch.tensor([0.5, 0.5, 0.7, 0.2, 0.1]).log()
    other = torch.tensor([0.4, 0.6, 0.1, 0.6, 0.3]).log()
    assert float(action_distance(space, one, other)) == pytest.approx(0.6)
    other[2:] = one[2:]
    assert float(action_distance(space, one, other)) == pytest.approx(0.1)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 1.0), (3.0, 0.2), (0.0, 5.0), (50.0, 1.0)])
def test_hellinger_distance_is_that_of_an_integral(mean, std):
    x = torch.linspace(-80, 80, 1_600_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, s).log_prob(x).exp() for m, s in ((0.0, 1.0), (mean, std)))
    expected = (1 - torch.trapezoid((p * q).sqrt(), x)).clamp(min=0).sqrt()
    space = gym.spaces.Box(-1, 1, (1,), np.float32)
    logits = torch.tensor([[0.0, 0.0], [mean, np.log(std)]], dtype=torch.float64)
    assert float(action_distance(space, logits[0], logits[1])) == pytest.approx(float(expected), abs=1e-6)


def test_affinities_of_components_multiply_and_nothing_overflows():
    space = gym.spaces.Box(-1, 1, (2,), np.float32)
    one, other = torch.zeros(4), torch.tensor([1.0, 2.0, 0.0, 0.5])
    alone = gym.spaces.Box(-1, 1, (1,), np.float32)
    parts = [action_distance(alone, one[i::2], other[i::2]) for i in (0, 1)]
    together = (1 - torch.stack([1 - part**2 for part in parts]).prod()).sqrt()
    torch.testing.assert_close(action_distance(space, one, other), together)
    extreme = torch.tensor([0.0, 1e3, -80.0, 80.0])
    assert float(action_distance(space, one, extreme)) == 1.0
    assert float(action_distance(space, extreme, extreme)) == 0.0


def test_other_spaces_are_refused():
    with pytest.raises(SettingsError, match="actions of Tuple spaces; should be 'value'"):
        distance_name(gym.spaces.Tuple([gym.spaces.Discrete(2)]))
