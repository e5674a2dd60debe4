"""When flash-linear-attention's kernel is used and what it is given; without a GPU, a fake stands in for it."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from rllib_recattn.models.kernels import fla
from rllib_recattn.models.parts.gated_linear_attention import chunkwise, gated_linear_attention
from tests.models.test_gated_linear_attention import BATCH, assert_all_close, operands, results


@pytest.fixture(autouse=True)
def _look_for_the_package_anew():
    fla._fused_recurrence.cache_clear()
    yield
    fla._fused_recurrence.cache_clear()


@pytest.fixture
def calls(monkeypatch):
    """The keyword arguments of all calls of a kernel with the package's signature, for which this device is right."""
    seen = []

    def fused_recurrent_gla(
        q, k, v, gk=None, gv=None, scale=None, initial_state=None, output_final_state=False, reverse=False
    ):
        seen.append({"gk": gk, "scale": scale, "initial_state": initial_state, "final": output_final_state})
        return chunkwise(scale * q, k, v, gk.exp(), initial_state)

    fake = ModuleType("fla.ops.gla")
    fake.fused_recurrent_gla = fused_recurrent_gla
    monkeypatch.setitem(sys.modules, "fla", ModuleType("fla"))
    monkeypatch.setitem(sys.modules, "fla.ops", ModuleType("fla.ops"))
    monkeypatch.setitem(sys.modules, "fla.ops.gla", fake)
    monkeypatch.setattr(fla, "serve", lambda query: query.shape[1] <= fla.LONGEST_SEQUENCE)
    return seen


def cuda_like(steps=8, dtype=torch.float32, is_cuda=True):
    return SimpleNamespace(shape=(2, steps, 3, 4), dtype=dtype, is_cuda=is_cuda)


@pytest.mark.parametrize(
    ("query", "served"),
    [
        (cuda_like(), True),
        (cuda_like(steps=64), True),
        (cuda_like(steps=65), False),
        (cuda_like(dtype=torch.float64), False),
        (cuda_like(is_cuda=False), False),
    ],
)
def test_served_are_short_float32_sequences_on_cuda(monkeypatch, query, served):
    monkeypatch.setattr(fla, "_fused_recurrence", lambda: print)
    assert fla.serve(query) is served


def test_without_the_package_nothing_is_served(monkeypatch):
    monkeypatch.setitem(sys.modules, "fla.ops.gla", None)
    assert not fla.serve(cuda_like())
    with pytest.raises(RuntimeError, match="flash-linear-attention is not installed"):
        fla.gated_linear_attention(*operands(3))


def test_the_kernel_gets_log_decays_and_an_initial_memory(calls):
    tensors = operands(8)

    served = results(gated_linear_attention, tensors)

    (call,) = calls
    assert call["scale"] == 1.0
    assert call["final"] is True
    assert call["initial_state"] is tensors[-1]
    torch.testing.assert_close(call["gk"], tensors[3].log())
    assert_all_close(served, results(chunkwise, tensors), rtol=0, atol=1e-12)


def test_the_kernel_never_gets_the_logarithm_of_zero(calls):
    tensors = operands(8, dtype=torch.float32)
    with torch.no_grad():
        tensors[3][:, 3] = 0

    served = results(gated_linear_attention, tensors)

    assert torch.isfinite(calls[0]["gk"]).all()
    assert all(torch.isfinite(x).all() for x in served)


@pytest.mark.parametrize(("steps", "is_first"), [(1, None), (65, None), (8, torch.zeros(BATCH, 8, dtype=torch.bool))])
def test_single_steps_long_sequences_and_episode_starts_go_without(calls, steps, is_first):
    gated_linear_attention(*operands(steps), is_first)
    assert not calls
