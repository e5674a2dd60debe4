"""Models as graphs, which hold for other numbers than those that they are made with."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.parts.graphs import Rows
from rllib_recattn.models.registry import model_names
from tests.models.conftest import choose_kernels, small_model

ROWS, STEPS = 3, 5
Arguments = tuple[Tensor, Tensor, Tensor | None]


@pytest.fixture(params=model_names())
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SequenceModel:
    choose_kernels(False, monkeypatch)  # which no graph has
    return small_model(request.param).double()


def a_life(model: SequenceModel, steps: int, with_resets: bool, seed: int, rows: int = ROWS) -> Arguments:
    """Inputs, the state of agents that have lived for 0, 1 and 2 steps and so on, and where episodes begin."""
    generator = torch.Generator().manual_seed(seed)
    history = torch.randn(rows, ROWS - 1, model.input_dim, generator=generator, dtype=torch.float64)
    states = [model.initial_state(rows - ROWS + 1) if rows > ROWS else model.initial_state(1)]
    with torch.no_grad():
        for row in range(1, min(rows, ROWS)):
            states.append(model(history[row : row + 1, :row], model.initial_state(1))[1])
    x = torch.randn(rows, steps, model.input_dim, generator=generator, dtype=torch.float64)
    is_first = torch.rand(rows, steps, generator=generator) < 0.4 if with_resets else None
    return x, torch.cat(states).roll(seed, dims=0), is_first


def assert_same(graph, model: SequenceModel, arguments: Arguments) -> None:
    for actual, expected in zip(graph(*arguments), model(*arguments), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def compile_whole(model: SequenceModel, backend: str):
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    # Without the setting PyTorch refuses its own LSTM and GRU.
    return torch._dynamo.config.patch(allow_rnn=True)(compiled)


# Learning takes longer than acting: RATE has the most branches on where episodes begin, the others run in the slow
# tests. That a row has no starts is a branch in front of all models, of which one shows it.
EXPORTED = [
    *(pytest.param(name, STEPS, True, True, marks=pytest.mark.slow) for name in model_names() if name != "rate"),
    *(("rate", steps, steps > 1, with_resets) for steps, with_resets in ((1, False), (STEPS, True), (STEPS, False))),
]


@pytest.mark.parametrize(("model", "steps", "gradients", "with_resets"), EXPORTED, indirect=["model"])
def test_what_is_exported_holds_for_other_lives(model, steps, with_resets, gradients):
    with torch.set_grad_enabled(gradients):
        program = torch.export.export(model, a_life(model, steps, with_resets, seed=0)).module()
        for seed in range(ROWS):
            assert_same(program, model, a_life(model, steps, with_resets, seed))


def test_a_step_that_is_exported_holds_for_any_number_of_rows(model):
    rows = {0: torch.export.Dim("rows")}
    with torch.no_grad():
        arguments = a_life(model, 1, with_resets=False, seed=0)
        program = torch.export.export(model, arguments, dynamic_shapes=(rows, rows, None)).module()
        for seed, number in enumerate((1, 2, 64)):
            assert_same(program, model, a_life(model, 1, False, seed, number))


# Seconds each. RATE has the most branches on where episodes begin; the others run in the slow tests.
COMPILED = [
    ("rate", 1, True),
    ("rate", STEPS, False),
    *(pytest.param(name, STEPS, True, marks=pytest.mark.slow) for name in model_names()),
]


@pytest.mark.parametrize(("model", "steps", "with_resets"), COMPILED, indirect=["model"])
def test_what_is_compiled_holds_for_other_lives_and_has_their_gradients(model, steps, with_resets):
    compiled = compile_whole(model, "eager")
    with torch.no_grad():
        assert_same(compiled, model, a_life(model, steps, with_resets, seed=0))
    for seed in range(ROWS):
        x, state, is_first = a_life(model, steps, with_resets, seed)
        assert_same(compiled, model, (x.requires_grad_(), state, is_first))
        gradients = []
        for each in (compiled, model):
            y, new_state = each(x, state, is_first)
            loss = y.square().sum() + new_state.sin().sum()
            gradients.append(torch.autograd.grad(loss, [x, *model.parameters()], materialize_grads=True))
        for actual, expected in zip(*gradients, strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.slow
def test_a_training_graph_is_compiled_down_to_pytorchs_own_operations(model):
    compiled = compile_whole(model, "aot_eager")
    x, state, is_first = a_life(model, STEPS, with_resets=True, seed=1)
    for each in (compiled, model):
        each(x, state, is_first)[0].square().sum().backward()
    assert_same(compiled, model, (x, state, is_first))


def test_rows_are_all_rows_in_a_graph(monkeypatch):
    x, chosen = torch.arange(6.0).view(3, 2), torch.tensor([True, False, True])
    rows = Rows(chosen)
    assert rows
    assert not Rows(torch.zeros(3, dtype=torch.bool))
    torch.testing.assert_close(rows.take(x), x[[0, 2]])
    expected = rows.put(x, -rows.take(x))
    monkeypatch.setattr("rllib_recattn.models.parts.graphs.in_graph", lambda: True)
    rows = Rows(chosen)
    torch.testing.assert_close(rows.take(x), x)
    torch.testing.assert_close(rows.put(x, -x), expected)
    assert Rows(torch.zeros(3, dtype=torch.bool))
