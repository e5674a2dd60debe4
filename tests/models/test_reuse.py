"""Memory of large states is used again, and only once nobody has it any more."""

import copy
import gc

import pytest
import torch

from rllib_recattn.models.kernels.reuse import LARGE, SPARE, Reuse


def like(dtype=torch.float32, n_bytes=LARGE):
    return torch.zeros(2, n_bytes // dtype.itemsize // 2, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_memory_is_used_again_once_all_that_shares_it_has_gone(dtype, mode):
    reuse = Reuse()
    with mode():
        x = like(dtype)
        first = reuse.empty_like(x)
        assert (first.shape, first.dtype, first.is_contiguous()) == (x.shape, dtype, True)
        place = first.data_ptr()
        assert place % 64 == 0
        view = first[1:, 3]
        first.fill_(7)
        del first
        second = reuse.empty_like(x).fill_(8)
        assert second.data_ptr() != place
        assert view.tolist() == [7]
        array = view.numpy()
        del view
        assert reuse.empty_like(x).fill_(9).data_ptr() not in (place, second.data_ptr())
        assert array.tolist() == [7]
        del array
        gc.collect()
        assert reuse.empty_like(x).data_ptr() == place


def test_little_is_kept():
    reuse, x = Reuse(), like()
    tensors = [reuse.empty_like(x) for _ in range(SPARE + 3)]
    assert len({tensor.data_ptr() for tensor in tensors}) == SPARE + 3
    tensors.clear()
    assert len(reuse.spare) == SPARE
    assert len(copy.deepcopy(reuse).spare) == 0
    larger = reuse.empty_like(like(n_bytes=2 * LARGE))
    assert larger.nbytes == 2 * LARGE
    assert len(reuse.spare) == 0


def test_small_tensors_are_pytorchs():
    reuse = Reuse()
    reuse.empty_like(like(n_bytes=LARGE - 8))
    assert len(reuse.spare) == 0


def test_memory_outlives_who_lent_it():
    tensor = Reuse().empty_like(like()).fill_(3)
    gc.collect()
    assert (tensor == 3).all()
