"""Models under `torch.autocast`: what is rounded, and that nothing else is."""

import copy
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.diagnostics import tracing
from rllib_recattn.models.registry import model_names
from tests.models.conftest import choose_kernels, small_model
from tests.models.variants import Variant, all_variants, marked, shaken

HALF = torch.bfloat16
ROWS, STEPS = 2, 5
VARIANTS = [
    pytest.param(variant, id=f"{variant[0]} {index}", marks=marks)
    for index, (variant, marks) in enumerate(marked(all_variants()))
]


def autocast(dtype: torch.dtype = HALF, cache_enabled: bool = True) -> torch.autocast:
    return torch.autocast("cpu", dtype=dtype, cache_enabled=cache_enabled)


def a_life(model: SequenceModel) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, the state of agents that have lived for some steps, and where episodes begin."""
    generator = torch.Generator().manual_seed(1)
    history, x = torch.randn(2, ROWS, STEPS, model.input_dim, generator=generator)
    with torch.no_grad():
        _, state = model(history, model.initial_state(ROWS))
    return x, state, torch.tensor([[False] * STEPS, [False, True, False, False, False]])


def loss(y: Tensor, state: Tensor) -> Tensor:
    return (y * y.detach().cos()).sum() + (state * state.detach().sin()).sum()


def read(
    model: SequenceModel, x: Tensor, state: Tensor, is_first: Tensor, dtype: torch.dtype | None = None
) -> list[Tensor]:
    """Return outputs, the last state, and their gradients, under autocast to a dtype if there is one.

    Its cache would add up in half precision the gradients of what reads a weight more than once.
    """
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    with autocast(dtype, cache_enabled=False) if dtype else nullcontext():
        y, new_state = model(x, state, is_first)
    wanted = [x, state, *model.parameters()]
    gradients = torch.autograd.grad(loss(y, new_state), wanted, materialize_grads=True, allow_unused=True)
    return [y, new_state, *gradients]


def act(model: SequenceModel, x: Tensor, state: Tensor, is_first: Tensor) -> list[Tensor]:
    """Read one step at a time without gradients, and return the outputs and all states."""
    outputs, states = [], []
    with torch.no_grad():
        for x_t, first in zip(x.split(1, dim=1), is_first.split(1, dim=1), strict=True):
            y, state = model(x_t, state, first)
            outputs.append(y)
            states.append(state)
    return [torch.cat(outputs, dim=1), *states]


def rounding(operation: Any) -> Any:
    return lambda *operands: operation(*(x if x is None else x.to(HALF) for x in operands))


def round_operands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Linear layers, and RATE's reading of slots through its weights, compute in bfloat16 without autocast."""
    in_half = SimpleNamespace(**{**vars(torch), "bmm": rounding(torch.bmm)})
    monkeypatch.setattr("rllib_recattn.models.parts.segment_attention.torch", in_half)
    monkeypatch.setattr(nn.functional, "linear", rounding(nn.functional.linear))
    monkeypatch.setattr("rllib_recattn.models.parts.linear._suits_onednn", lambda *_: False)


@pytest.mark.parametrize("variant", VARIANTS)
def test_products_of_linear_layers_are_rounded_and_nothing_else(variant: Variant, monkeypatch):
    # They add up in another order, and what is rounded to bfloat16 afterwards may then be a whole step of it apart.
    choose_kernels(False, monkeypatch)
    model = shaken(variant).float()
    arguments = a_life(model)
    with autocast():
        acted = act(model, *arguments)
    results = [*read(model, *arguments, HALF), *acted]
    assert {x.dtype for x in results} == {torch.float32}
    assert all(torch.isfinite(x).all() for x in results)

    round_operands(monkeypatch)
    for actual, expected in zip(results, [*read(model, *arguments), *act(model, *arguments)], strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", model_names())
def test_kernels_are_as_close(name, monkeypatch):
    """By the norm of all numbers; single ones are rounded to bfloat16, some up here and down there."""
    model = small_model(name).float()
    arguments = a_life(model)
    found = []
    for by_kernels in (True, False):
        choose_kernels(by_kernels, monkeypatch)
        with autocast():
            acted = act(model, *arguments)
        found.append([*read(model, *arguments, HALF), *acted])
    for ours, expected in zip(*found, strict=True):
        assert torch.isfinite(ours).all()
        assert torch.linalg.vector_norm(ours - expected) <= 0.02 * torch.linalg.vector_norm(expected) + 1e-6


@pytest.mark.parametrize(
    ("dtype", "kernels"), [(torch.bfloat16, False), (torch.bfloat16, True), (torch.float16, False)], ids=str
)
@pytest.mark.parametrize("name", model_names())
def test_the_error_is_that_of_rounded_weights(name, dtype, kernels, monkeypatch):
    choose_kernels(kernels, monkeypatch)
    model, rounded = small_model(name), small_model(name).to(dtype).float()
    arguments = a_life(model)
    exact, scale = read(model, *arguments), read(rounded, *arguments)
    results = read(model, *arguments, dtype)
    with autocast(dtype):
        acted, *states = act(model, *arguments)
    for index, *alike in ((0, results[0], acted), (1, results[1], states[-1])):
        for actual in alike:
            assert (actual - exact[index]).norm() <= 4 * (scale[index] - exact[index]).norm()
    # Gradients jump where rounding opens a relu that was shut.
    actual, expected, rough = (torch.cat([x.flatten() for x in each[2:]]) for each in (results, exact, scale))
    assert (actual - expected).norm() <= 8 * (rough - expected).norm()


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("name", model_names())
def test_inputs_may_come_from_layers_that_compute_in_half(name, steps):
    model = small_model(name)
    x, state, is_first = a_life(model)
    x, is_first = x[:, :steps].to(HALF), is_first[:, :steps]
    for gradients in (True, False):
        with autocast(), torch.set_grad_enabled(gradients):
            expected = model(x.float(), state, is_first)
            for given in (state, state.to(HALF).float()):
                y, new_state = model(x, given, is_first)
                assert y.dtype == new_state.dtype == torch.float32
            for actual, value in zip(model(x, state, is_first), expected, strict=True):
                torch.testing.assert_close(actual, value, rtol=0, atol=0)


@pytest.mark.parametrize("name", model_names())
def test_a_backward_pass_within_the_block_is_as_close(name):
    model = small_model(name)
    arguments = a_life(model)
    gradients = []
    for within in (True, False):
        own = copy.deepcopy(model)
        with autocast():
            value = loss(*own(*arguments))
            if within:
                value.backward()
        if not within:
            value.backward()
        gradients.append([parameter.grad for parameter in own.parameters() if parameter.grad is not None])
    for actual, expected in zip(*gradients, strict=True):
        assert (actual - expected).norm() <= 8 * torch.finfo(HALF).eps * expected.norm()


@pytest.mark.parametrize("name", model_names())
def test_what_goes_on_inside_can_be_seen(name):
    model = small_model(name)
    x, state, is_first = a_life(model)
    with tracing(model) as exact:
        model(x, state, is_first)
    with autocast(), tracing(model) as trace:
        model(x, state, is_first)
    for actual, expected in ((trace.gates, exact.gates), (trace.attention, exact.attention)):
        assert actual.keys() == expected.keys()
        for key, value in actual.items():
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, expected[key], rtol=0, atol=0.1)
