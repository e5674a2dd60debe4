"""Models on devices other than the CPU: nothing waits for numbers, and nothing loops over steps in Python.

Tensors without data ("meta") have a device and no numbers: who asks one for a number fails, as does an operation on
this device and another one. That is what would make a GPU wait, or fail. Tests marked `gpu` compare numbers on one.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rllib_recattn.models.registry import build_model, model_names
from tests.model_v2.old_stack import TINY

INPUT_DIM = 3
# Those that ask which steps of a batch start an episode, once for a layer and a sequence, and why.
WAITING = {
    "galite": "skips the resets of steps that have none",
    "rate": "cuts rows into segments of an episode",
    "lstm": "cuts sequences where an episode starts, for PyTorch's LSTM",
    "gru": "likewise",
    "hybrid": "is made of AGaLiTe and a GRU here",
}
# RATE asks when it acts as well: it works out memory tokens of those rows alone whose segment is full.
ACTING = sorted(set(model_names()) - {"rate"})
# Those that take more operations for more steps, and why.
LOOPING = {
    "galite": "its decays are no outer product, and a scan would hold all memories of all steps",
    "slstm": "its gates read the state",
    "lstm": "PyTorch's LSTM is one operation on a GPU, and many without data",
    "gru": "likewise",
    "hybrid": "is made of AGaLiTe and a GRU here",
}


def on(device, name, **settings):
    return build_model(name, input_dim=INPUT_DIM, **{**TINY.get(name, {}), **settings}).to(device)


def read(model, steps, with_resets, rows=2):
    device = next(model.parameters()).device
    x = torch.empty(rows, steps, INPUT_DIM, device=device, requires_grad=True)
    is_first = torch.zeros(rows, steps, dtype=torch.bool, device=device) if with_resets else None
    y, state = model(x, model.initial_state(rows), is_first)
    y.sum().backward()
    assert (y.device, state.device) == (device, device)


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("name", ACTING)
def test_an_acting_step_waits_for_nothing(name, with_resets):
    model = on("meta", name)
    x = torch.empty(4, 1, INPUT_DIM, device="meta")
    is_first = torch.zeros(4, 1, dtype=torch.bool, device="meta") if with_resets else None
    with torch.no_grad():
        _, state = model(x, model.initial_state(4), is_first)
        y, state = model(x, state, is_first)
    assert (y.device.type, state.device.type) == ("meta", "meta")


@pytest.mark.parametrize("name", sorted(set(model_names()) - WAITING.keys()))
def test_an_update_waits_for_nothing(name):
    read(on("meta", name), 40, with_resets=True)


@pytest.mark.parametrize("name", WAITING)
def test_those_that_wait_are_known(name):
    with pytest.raises((NotImplementedError, RuntimeError), match=r"meta"):
        read(on("meta", name), 40, with_resets=True)


class Counting(TorchDispatchMode):
    """Counts operations."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def growth(name):
    """How many more operations an update takes for a step more of a long row."""
    counts = []
    for steps in (128, 256):
        model = on("meta", name)
        with Counting() as counting:
            read(model, steps, with_resets=False)
        counts.append(counting.n)
    return (counts[1] - counts[0]) / 128


@pytest.mark.parametrize("name", sorted(set(model_names()) - LOOPING.keys() - {"rate"}))
def test_updates_do_not_loop_over_steps(name):
    # Chunks make a few operations for sixteen steps and more.
    assert growth(name) < 4


@pytest.mark.parametrize("name", LOOPING)
def test_those_that_loop_are_known(name):
    assert growth(name) > 4


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", model_names())
def test_a_gpu_computes_the_same(name, dtype, generator):
    model = on("cpu", name).to(dtype)
    there = copy.deepcopy(model).cuda()
    x = torch.randn(5, 40, INPUT_DIM, generator=generator, dtype=torch.float64).to(dtype)
    is_first = torch.rand(5, 40, generator=generator) < 0.1
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-8, "atol": 1e-9}
    ours, theirs = ([part.clone().requires_grad_() for part in (x, model.initial_state(5))] for _ in range(2))
    theirs = [part.detach().cuda().requires_grad_() for part in theirs]
    y, state = model(*ours, is_first)
    y_there, state_there = there(*theirs, is_first.cuda())
    torch.testing.assert_close(y_there.cpu(), y, **near)
    torch.testing.assert_close(state_there.cpu(), state, **near)
    y.square().mean().backward()
    y_there.square().mean().backward()
    torch.testing.assert_close(theirs[0].grad.cpu(), ours[0].grad, **near)
    for mine, other in zip(model.parameters(), there.parameters(), strict=True):
        if mine.grad is not None:
            torch.testing.assert_close(other.grad.cpu(), mine.grad, **near)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ACTING)
def test_an_acting_step_makes_no_gpu_wait(name):
    model = on("cuda", name)
    x, state = torch.randn(4, 1, INPUT_DIM, device="cuda"), model.initial_state(4)
    is_first = torch.zeros(4, 1, dtype=torch.bool, device="cuda")
    with torch.inference_mode():
        model(x, state, is_first)  # what is made once
        torch.cuda.set_sync_debug_mode("error")
        try:
            model(x, state, is_first)
        finally:
            torch.cuda.set_sync_debug_mode("default")
