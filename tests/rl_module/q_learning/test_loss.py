"""Targets, scales, priorities and the loss, beside their definitions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from rllib_recattn.rl_module.q_learning.loss import priorities_of, q_targets
from rllib_recattn.rl_module.q_learning.settings import DEFAULTS
from rllib_recattn.rl_module.q_learning.targets import rescale, undo_rescale
from tests.rl_module.q_learning.definitions import h, h_inverse, target_of

VALUES = [-1e4, -300.0, -2.5, -1e-3, 0.0, 1e-6, 0.7, 40.0, 1e5]


def test_the_scale_is_that_of_r2d2_and_is_undone():
    scaled = rescale(torch.tensor(VALUES))
    assert scaled.tolist() == pytest.approx([h(value) for value in VALUES], rel=1e-5, abs=1e-6)
    assert undo_rescale(scaled).tolist() == pytest.approx(VALUES, rel=1e-4, abs=1e-6)
    assert undo_rescale(torch.tensor(VALUES)[1:-1]).tolist() == pytest.approx(
        [h_inverse(value) for value in VALUES[1:-1]], rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("value_rescaling", [False, True])
@pytest.mark.parametrize("double_q", [False, True])
@pytest.mark.parametrize("n_step", [1, 2, 3, 9])
def test_targets_are_those_of_the_definition(n_step, double_q, value_rescaling):
    """Two sequences in one row, one that ended by itself and one that was cut, and a row that ends early."""
    generator = np.random.default_rng(n_step)
    case = SimpleNamespace(n_step=n_step, double_q=double_q, gamma=0.9, value_rescaling=value_rescaling)
    rows = [[(4, True), (3, False)], [(5, False)], [(1, True), (1, False), (2, True)]]
    shape = (len(rows), 9)
    rewards = generator.normal(size=shape)
    q_values, target = generator.normal(size=(2, *shape, 3), scale=5)
    mask, terminated, expected = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape)
    for row, sequences in enumerate(rows):
        start = 0
        for length, ended in sequences:
            steps, end = slice(start, start + length), start + length
            mask[row, steps] = True
            terminated[row, end - 1] = ended
            with_last = row, slice(start, end + 1)
            for i in range(length):
                expected[row, start + i] = target_of(
                    i, rewards[row, steps], q_values[with_last], target[with_last], ended, case
                )
            start = end + 1
    batch = {
        Columns.REWARDS: torch.tensor(rewards),
        Columns.LOSS_MASK: torch.tensor(mask),
        Columns.TERMINATEDS: torch.tensor(terminated),
    }
    settings = DEFAULTS.model_copy(update={"value_rescaling": value_rescaling})
    targets = q_targets(batch, torch.tensor(q_values), torch.tensor(target), case, settings)
    assert targets.numpy()[mask] == pytest.approx(expected[mask], rel=1e-9)


def test_priorities_mix_the_largest_and_the_mean_error():
    errors = torch.tensor([1.0, 5.0, 2.0, 0.5, 3.0])
    sequences = torch.tensor([0, 2, 0, 1, 0])
    expected = [0.9 * 3 + 0.1 * 2, 0.5, 5.0]
    assert priorities_of(errors, sequences, 0.9).tolist() == pytest.approx(expected)
    assert priorities_of(errors, sequences, 0.0).tolist() == pytest.approx([2, 0.5, 5])
