"""Steps in their slots."""

import torch

from rllib_recattn.models.parts.segments import SegmentGrid


def test_rows_at_different_positions():
    grid = SegmentGrid(torch.tensor([0, 2]), None, n_steps=4, segment_length=3)
    assert grid.n_segments == 2
    assert grid.place(torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])).tolist() == [
        [[1, 2, 3], [4, 0, 0]],
        [[0, 0, 5], [6, 7, 8]],
    ]
    assert grid.slot.tolist() == [[0, 1, 2, 0], [2, 0, 1, 2]]
    assert grid.last.tolist() == [1, 1]
    assert grid.finished.tolist() == [[True, False], [True, True]]
    assert not grid.restarts.any()


def test_an_episode_begins_a_segment():
    is_first = torch.tensor([[False, True, False, True, True], [True, False, False, False, False]])
    grid = SegmentGrid(torch.tensor([1, 1]), is_first, n_steps=5, segment_length=3)
    assert grid.place(torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])).tolist() == [
        [[0, 1, 0], [2, 3, 0], [4, 0, 0], [5, 0, 0]],
        [[6, 7, 8], [9, 10, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert grid.last.tolist() == [3, 1]
    assert grid.finished.tolist() == [[False] * 4, [True, False, False, False]]
    assert grid.restarts.tolist() == [[False, True, True, True], [True, False, False, False]]


def test_collect_undoes_place():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 9, 2, generator=generator)
    is_first = torch.rand(4, 9, generator=generator) < 0.3
    grid = SegmentGrid(torch.tensor([0, 1, 2, 3]), is_first, n_steps=9, segment_length=4)
    torch.testing.assert_close(grid.collect(grid.place(x)), x, rtol=0, atol=0)
