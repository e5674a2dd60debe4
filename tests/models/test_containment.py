"""What is not finite stays in its episode and its row, and behind its step, in values and in gradients."""

import math

import pytest
import torch
from torch import Tensor

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.parts.containment import lost_from, lost_in_window, not_finite
from tests.models.conftest import small_model
from tests.models.test_contract import BATCH, STEPS, inputs_and_state, run_split

STEP_BY_STEP = [1] * STEPS
START = 6  # of row 0's second episode
IS_FIRST = torch.tensor([[row == 0 and t == START for t in range(STEPS)] for row in range(BATCH)])


def results(model: SequenceModel, x: Tensor, state: Tensor, lengths: list[int], kept: Tensor) -> list[Tensor]:
    """The outputs of some steps [B, T], the last states of their rows, and the gradients of a loss of both."""
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    y, state_out = run_split(model, x, state, lengths, IS_FIRST)
    y, state_out = y[kept], state_out[kept[:, -1]]
    return [
        y,
        state_out,
        *torch.autograd.grad(y.square().sum() + state_out.square().sum(), [x, state, *model.parameters()]),
    ]


def act(model: SequenceModel, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return run_split(model, x, state, STEP_BY_STEP, IS_FIRST)


@pytest.mark.parametrize(("value", "lengths"), [(math.nan, STEP_BY_STEP), (math.inf, [4, 7]), (-math.inf, [STEPS])])
def test_an_input_changes_nothing_before_it_nor_in_other_episodes_and_rows(model, generator, value, lengths):
    x, state = inputs_and_state(model, generator)
    spoilt = x.clone()
    spoilt[0, 3, 1] = spoilt[1, 8] = value
    kept = torch.ones(BATCH, STEPS, dtype=torch.bool)
    if model.state_size:
        kept[0, 3:START] = kept[1, 8:] = False
    else:  # nothing is remembered of it
        kept[0, 3] = kept[1, 8] = False

    expected = results(model, x, state, [STEPS], kept)
    for actual, clean in zip(results(model, spoilt, state, lengths, kept), expected, strict=True):
        torch.testing.assert_close(actual, clean, rtol=1e-10, atol=1e-10)
    y, state_out = run_split(model, spoilt, state, lengths, IS_FIRST)
    assert not torch.isfinite(y[~kept]).any()
    assert torch.isfinite(state_out).all(dim=1).tolist() == [True, not model.state_size, True]
    for acted, read in zip(act(model, spoilt, state), (y, state_out), strict=True):
        at = kept if acted.dim() == 3 else kept[:, -1] | (not model.state_size)
        torch.testing.assert_close(acted[at], read[at], rtol=0, atol=1e-10)
        assert not torch.isfinite(acted[~at]).all(dim=-1).any()


@pytest.mark.parametrize(
    ("value", "place"), [(math.nan, "all"), (math.nan, "first"), (math.inf, "all"), (-math.inf, "last")]
)
def test_a_state_changes_nothing_in_other_episodes_and_rows(model, generator, value, place):
    x, state = inputs_and_state(model, generator)
    if not model.state_size:
        return  # there is nothing to spoil
    spoilt = state.clone()
    spoilt[0, {"all": slice(None), "first": 0, "last": -1}[place]] = value
    kept = torch.ones(BATCH, STEPS, dtype=torch.bool)
    kept[0, :START] = False

    expected = results(model, x, state, [STEPS], kept)
    for lengths in ([STEPS], STEP_BY_STEP):
        for actual, clean in zip(results(model, x, spoilt, lengths, kept), expected, strict=True):
            torch.testing.assert_close(actual, clean, rtol=1e-10, atol=1e-10)
    acted, state_out = act(model, x, spoilt)
    torch.testing.assert_close(acted[kept], expected[0], rtol=0, atol=1e-10)
    torch.testing.assert_close(state_out, expected[1], rtol=0, atol=1e-10)
    if place == "all":
        read, _ = model(x, spoilt, IS_FIRST)
        assert not torch.isfinite(torch.stack([acted, read])[:, ~kept]).any()


def test_what_left_a_window_is_forgotten():
    model = small_model("gtrxl").double()
    n_layers, steps = len(model.layers), 30
    x = torch.randn(2, steps, model.input_dim, dtype=torch.float64)
    x[0, 5] = math.nan
    last = 5 + n_layers * model.memory_length

    y, state = model(x, model.initial_state(2))

    assert (~torch.isfinite(y[0]).all(dim=-1)).nonzero()[:, 0].tolist() == list(range(5, last + 1))
    assert torch.isfinite(state).all()
    with torch.no_grad():
        acted, acted_state = run_split(model, x, model.initial_state(2), [1] * steps, None)
    torch.testing.assert_close(acted, y, rtol=0, atol=1e-10, equal_nan=True)
    torch.testing.assert_close(acted_state, state, rtol=0, atol=1e-10)
    halves, _ = run_split(model, x, model.initial_state(2), [8, steps - 8], None)
    torch.testing.assert_close(halves, y, rtol=0, atol=1e-10, equal_nan=True)


def test_what_left_a_stack_of_frames_is_forgotten(generator):
    model, steps = small_model("frame_stack").double(), 20
    n_frames = model.n_before + 1
    x = torch.randn(2, steps, model.input_dim, generator=generator, dtype=torch.float64)
    x[0, 5, 1] = x[1, 17] = math.inf
    start = model.initial_state(2)
    start[1, : model.input_dim] = math.nan  # the newest of the inputs before
    y, state = model(x, start)
    lost = [(~torch.isfinite(row).all(dim=-1)).nonzero()[:, 0].tolist() for row in y]
    assert lost == [[*range(5, 5 + n_frames)], [*range(n_frames - 1), 17, 18, 19]]
    places = torch.isfinite(state).view(2, n_frames - 1, model.input_dim).all(dim=-1)
    assert places.tolist() == [[True] * 6, [True, True, False, True, True, True]]
    for lengths in ([1] * steps, [3, 8, steps - 11]):
        split, split_state = run_split(model, x, start, lengths, None)
        torch.testing.assert_close(split, y, rtol=0, atol=1e-10, equal_nan=True)
        torch.testing.assert_close(split_state, state, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ["agalite", "gtrxl"])
def test_a_graph_for_export_contains_it_too(name):
    model = small_model(name)
    x, state = torch.randn(2, 4, model.input_dim), model.initial_state(2)
    is_first = torch.tensor([[0, 0, 1, 0], [0, 0, 0, 0]])
    with torch.no_grad():
        program = torch.export.export(model, (x, state, is_first)).module()
        x[0, 1] = math.nan
        torch.testing.assert_close(program(x, state, is_first), model(x, state, is_first), equal_nan=True)


def test_not_finite():
    x = torch.tensor([[1.0, -3e38], [math.nan, 0.0], [0.0, math.inf], [-math.inf, 1.0]])
    assert not_finite(x).tolist() == [False, True, True, True]
    assert not_finite(torch.empty(0, 2)).tolist() == []
    assert not_finite(torch.empty(2, 0)).tolist() == [False, False]


def test_lost_from():
    lost = torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]) > 0
    before = torch.tensor([False, True, True])
    assert lost_from(lost, before, None).int().tolist() == [[0, 1, 1, 1, 1], [1] * 5, [1] * 5]
    is_first = torch.tensor([[0, 0, 0, 1, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0]]) > 0
    assert lost_from(lost, before, is_first).int().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 1, 1], [0] * 5]


def test_lost_in_window():
    lost = torch.tensor([[1, 0, 0, 0, 0], [0, 0, 0, 1, 0]]) > 0
    reach = torch.tensor([[2, 1, 2], [2, 0, 1]])
    assert lost_in_window(lost, reach).int().tolist() == [[1, 0, 0], [0, 1, 1]]
