"""Outer-product memories and the delta rule over sequences by the kernels in C++, against PyTorch's operations."""

import pytest
import torch

from rllib_recattn.models.kernels import library
from rllib_recattn.models.kernels.outer_products import remember
from rllib_recattn.models.parts import delta_rule, gated_linear_attention
from tests.models.conftest import choose_kernels
from tests.models.test_step_kernels import NAMES, WIDE, supported_sets
from tests.models.variants import INPUT_DIM, shaken

# B, T, H, K, V: no multiples of a vector's numbers, a whole chunk of 64 steps, and one step more than two of them.
SIZES = [(2, 7, 3, 5, 9), (2, 129, 2, 18, 33), (1, 64, 2, 4, 5), (1, 2, 1, 1, 1)]


def operands(sizes, delta, by_feature, generator, dtype=torch.float64):
    """q, k, v, α, β or None, and the memories before, with decays of 0 where an episode starts."""
    rows, steps, heads, keys, values = sizes

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    decay = torch.sigmoid(draw(rows, steps, heads, keys if by_feature else 1) + 2)
    decay = decay * (torch.rand(rows, steps, 1, 1, generator=generator) > 0.1)
    key = torch.nn.functional.normalize(draw(rows, steps, heads, keys), dim=-1)
    strength = torch.sigmoid(draw(rows, steps, heads)) if delta else None
    given = draw(rows, steps, heads, keys), key, draw(rows, steps, heads, values), decay, strength
    tensors = [*given, draw(rows, heads, keys, values)]
    return [x if x is None else x.to(dtype).requires_grad_() for x in tensors]


def by_pytorch(query, key, value, decay, strength, memory):
    if strength is None:
        return gated_linear_attention.chunkwise(query, key, value, decay, memory)
    return delta_rule.chunkwise(query, key, value, strength, decay, memory)


def results(form, given):
    output, memory = form(*given)
    loss = (output * output.detach().cos()).sum() + (memory * memory.detach().sin()).sum()
    return output, memory, *torch.autograd.grad(loss, [x for x in given if x is not None])


@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("by_feature", [False, True])
def test_gradients_equal_finite_differences(delta, by_feature, generator, monkeypatch):
    choose_kernels(True, monkeypatch)
    assert torch.autograd.gradcheck(remember, operands((2, 4, 2, 3, 4), delta, by_feature, generator))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("instruction_set", supported_sets())
def test_every_instruction_set_remembers_the_same(instruction_set, dtype, threads, generator, monkeypatch):
    operators = library.operators_of(instruction_set)
    monkeypatch.setattr("rllib_recattn.models.kernels.outer_products.loaded", lambda: operators)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    near = {"rtol": 1e-9, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-3, "atol": 1e-4}
    for sizes in SIZES:
        for delta in (False, True):
            for by_feature in (False, True):
                given = operands(sizes, delta, by_feature, generator, dtype)
                for ours, pytorchs in zip(results(remember, given), results(by_pytorch, given), strict=True):
                    torch.testing.assert_close(ours, pytorchs, **near)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "agalite"])
def test_models_read_sequences_by_kernels_and_have_the_same_gradients(name, generator, monkeypatch):
    choose_kernels(True, monkeypatch)
    operators, calls = library.kernels(), []

    class Noting:
        def __getattr__(self, called):
            calls.append(called)
            return getattr(operators, called)

    monkeypatch.setattr("rllib_recattn.models.kernels.outer_products.loaded", Noting)
    model = shaken((name, {**WIDE, "d_model": 20, "d_head": 12, "d_ff": 20}))
    history, x = torch.randn(2, 3, 9, INPUT_DIM, generator=generator, dtype=torch.float64)
    is_first = torch.rand(3, 9, generator=generator) < 0.2
    _, state = model(history, model.initial_state(3))
    found = []
    for kernels in (True, False):
        choose_kernels(kernels, monkeypatch)
        life = x.clone().requires_grad_(), state.detach().clone().requires_grad_()
        y, new_state = model(*life, is_first)
        loss = y.square().sum() + new_state.sin().sum()
        found.append((y, new_state, *torch.autograd.grad(loss, [*life, *model.parameters()], materialize_grads=True)))
    assert {"outer_products", "outer_products_backward"} <= set(calls)
    for ours, pytorchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, pytorchs, rtol=1e-8, atol=1e-8)


def test_what_does_not_fit_is_refused_and_not_read(generator, monkeypatch):
    choose_kernels(True, monkeypatch)
    query, key, value, decay, strength, memory = operands((2, 3, 2, 4, 5), True, True, generator)
    for message, given in (
        ("queries: size 36", (query[..., :3], key, value, decay, strength, memory)),
        ("values: size 40", (query, key, value[:, :2], decay, strength, memory)),
        ("decays: size 36", (query, key, value, decay[..., :3], strength, memory)),
        ("strengths: size 8", (query, key, value, decay, strength[:, :2], memory)),
        ("memories: size 40", (query, key, value, decay, strength, memory[:1])),
    ):
        with pytest.raises((ValueError, IndexError), match=message):
            remember(*given)
