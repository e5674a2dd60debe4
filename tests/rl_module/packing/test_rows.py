"""Which rows go together, and that their steps come back to where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from rllib_recattn.rl_module.packing.rows import IS_FIRST, PackedRows, arrange, can_be_packed, fit, starts_episode


def test_full_rows_are_made_of_short_ones():
    assert fit([3, 5, 2, 4, 6], [True] * 5, 8) == [[1, 0], [3], [4, 2]]


def test_rows_that_do_not_start_an_episode_stand_first_and_apart():
    assert fit([3, 3, 2, 2], [False, False, True, True], 8) == [[0], [1, 2, 3]]


def test_rows_without_steps_are_left_out():
    assert fit([0, 3, 0, 4], [False, True, True, False], 8) == [[3, 1]]


@pytest.mark.parametrize("seed", range(20))
def test_every_row_is_somewhere_and_nothing_is_too_long(seed):
    random = np.random.default_rng(seed)
    lengths, starts = random.integers(0, 9, 60).tolist(), (random.random(60) < 0.7).tolist()
    groups = fit(lengths, starts, 8)
    assert sorted(row for group in groups for row in group) == [row for row in range(60) if lengths[row]]
    assert groups == sorted(groups)
    for group in groups:
        assert sum(lengths[row] for row in group) <= 8
        assert all(starts[row] for row in group[1:])
    # As many as the rows that must begin one, or few more than the steps need: two half-empty ones would have merged.
    assert len(groups) <= max(sum(not s and n > 0 for s, n in zip(starts, lengths, strict=True)), sum(lengths) / 5)


def test_no_arrangement_where_none_helps():
    assert arrange(torch.tensor([5, 5]), torch.tensor([True, True]), 8) is None
    assert arrange(torch.tensor([3, 3]), torch.tensor([False, False]), 8) is None
    assert arrange(torch.tensor([0, 0]), torch.tensor([True, True]), 8) is None


def batch(lengths, max_seq_len=4):
    steps = torch.arange(1.0, len(lengths) * max_seq_len + 1).view(len(lengths), max_seq_len)
    mask = torch.arange(max_seq_len) < torch.tensor(lengths)[:, None]
    return {
        Columns.OBS: {"a": steps.unsqueeze(-1), "b": (steps.long(), steps > 3)},
        Columns.LOSS_MASK: mask,
        Columns.SEQ_LENS: torch.tensor(lengths, dtype=torch.int32),
        Columns.STATE_IN: {"actor": {"state": torch.tensor([[1.0], [0.0], [0.0]])}},
    }


def test_columns_are_moved_and_come_back():
    columns = batch([2, 1, 3])
    rows = PackedRows(torch.tensor([2, 1, 3]), [[0, 1], [2]], 4)
    packed = rows.pack(columns)
    assert packed[Columns.OBS]["a"].squeeze(-1).tolist() == [[1, 2, 5, 0], [9, 10, 11, 0]]
    assert packed[Columns.OBS]["b"][0].tolist() == [[1, 2, 5, 0], [9, 10, 11, 0]]
    assert packed[Columns.OBS]["b"][1].tolist() == [[False, False, True, False], [True, True, True, False]]
    assert packed[IS_FIRST].tolist() == [[False, False, True, False], [False] * 4]
    assert packed[Columns.SEQ_LENS].tolist() == [3, 3]
    assert packed[Columns.SEQ_LENS].dtype == torch.int32
    assert packed[Columns.STATE_IN]["actor"]["state"].tolist() == [[1], [0]]
    unpacked = rows.unpack(packed[Columns.OBS]["a"])
    assert unpacked.squeeze(-1).tolist() == [[1, 2, 0, 0], [5, 0, 0, 0], [9, 10, 11, 0]]
    assert not can_be_packed(packed)


def test_gradients_come_back_as_well():
    values = torch.ones(2, 4, requires_grad=True)
    PackedRows(torch.tensor([2, 1, 3]), [[0, 1], [2]], 4).unpack(values).sum().backward()
    assert values.grad.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]


@pytest.mark.parametrize(
    ("state", "last_has_loss", "expected"),
    [
        ([0.0, 0.0, 0.0], [False, False, False], [True, True, True]),
        ([0.0, 1.0, 0.0], [False, False, False], [True, False, True]),
        ([0.0, 1e-30, 0.0], [False, False, False], [True, False, True]),
        ([0.0, 0.0, 0.0], [True, False, True], [True, False, True]),  # recorded without states
    ],
)
def test_rows_that_start_an_episode(state, last_has_loss, expected):
    columns = {
        Columns.LOSS_MASK: torch.tensor([[True, last] for last in last_has_loss]),
        Columns.STATE_IN: {"x": torch.zeros(3, 2), "y": torch.tensor(state)[:, None]},
    }
    assert starts_episode(columns, {"x": torch.zeros(2), "y": torch.zeros(1)}).tolist() == expected


def test_the_initial_state_need_not_be_zero():
    columns = {Columns.LOSS_MASK: torch.zeros(2, 2), Columns.STATE_IN: {"x": torch.tensor([[0.0], [3.0]])}}
    assert starts_episode(columns, {"x": torch.tensor([3.0])}).tolist() == [False, True]


@pytest.mark.parametrize("column", [torch.zeros(3), torch.zeros(3, 5), [1, 2, 3]])
def test_a_column_without_steps_cannot_be_moved(column):
    columns = batch([2, 1, 3])
    assert can_be_packed(columns)
    assert not can_be_packed({**columns, "other": column})
