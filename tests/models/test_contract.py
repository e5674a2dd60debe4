"""The contract of MODELS: every test here runs over every model of the catalog."""

import copy
import pickle

import pytest
import torch
from torch import Tensor

from rllib_recattn.models.base import SequenceModel

BATCH, STEPS = 3, 11


def inputs_and_state(model: SequenceModel, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random inputs, and the state of agents that have lived for some steps."""
    x = torch.randn(BATCH, STEPS, model.input_dim, generator=generator, dtype=torch.float64)
    history = torch.randn(BATCH, 4, model.input_dim, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        _, state = model(history, model.initial_state(BATCH))
    return x, state


def run_split(
    model: SequenceModel, x: Tensor, state: Tensor, lengths: list[int], is_first: Tensor | None
) -> tuple[Tensor, Tensor]:
    firsts = [None] * len(lengths) if is_first is None else is_first.split(lengths, dim=1)
    outputs = []
    for piece, first in zip(x.split(lengths, dim=1), firsts, strict=True):
        y, state = model(piece, state, first)
        outputs.append(y)
    return torch.cat(outputs, dim=1), state


def gradients(
    model: SequenceModel, x: Tensor, state: Tensor, lengths: list[int], is_first: Tensor | None
) -> list[Tensor]:
    """Gradients of a fixed random function of all outputs and of the final state."""
    x, state = x.clone().requires_grad_(), state.clone().requires_grad_()
    y, state_out = run_split(model, x, state, lengths, is_first)
    weights = torch.Generator().manual_seed(2)
    loss = (y * torch.randn(y.shape, generator=weights, dtype=y.dtype)).sum()
    loss = loss + (state_out * torch.randn(state_out.shape, generator=weights, dtype=y.dtype)).sum()
    return list(torch.autograd.grad(loss, [x, state, *model.parameters()]))


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("lengths", [[1] * STEPS, [4, 7], [1, 9, 1]])
def test_any_split_gives_the_same(model, generator, lengths, with_resets):
    x, state = inputs_and_state(model, generator)
    is_first = torch.rand(BATCH, STEPS, generator=generator) < 0.25 if with_resets else None

    y, state_out = run_split(model, x, state, [STEPS], is_first)
    y_split, state_split = run_split(model, x, state, lengths, is_first)

    torch.testing.assert_close(y_split, y, rtol=0, atol=1e-10)
    torch.testing.assert_close(state_split, state_out, rtol=0, atol=1e-10)
    whole = gradients(model, x, state, [STEPS], is_first)
    split = gradients(model, x, state, lengths, is_first)
    for grad_split, grad_whole in zip(split, whole, strict=True):
        torch.testing.assert_close(grad_split, grad_whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("with_resets", [False, True])
def test_acting_without_gradients_gives_the_same_and_leaves_its_inputs_alone(model, generator, with_resets, mode):
    x, state = inputs_and_state(model, generator)
    is_first = torch.rand(BATCH, STEPS, generator=generator) < 0.25 if with_resets else None
    y, state_out = model(x, state, is_first)
    with mode():
        for t in range(STEPS):
            before = state.clone()
            y_t, new_state = model(x[:, t : t + 1], state, None if is_first is None else is_first[:, t : t + 1])
            torch.testing.assert_close(state, before, rtol=0, atol=0)
            torch.testing.assert_close(y_t[:, 0], y[:, t], rtol=0, atol=1e-10)
            state = new_state
        torch.testing.assert_close(state, state_out, rtol=0, atol=1e-10)


def test_a_first_step_forgets_everything_before(model, generator):
    x, state = inputs_and_state(model, generator)
    x.requires_grad_()
    state.requires_grad_()
    start = 5
    is_first = torch.zeros(BATCH, STEPS)
    is_first[:, start] = 1

    y, state_out = model(x, state, is_first)
    fresh_y, fresh_state = model(x[:, start:], model.initial_state(BATCH))

    torch.testing.assert_close(y[:, start:], fresh_y, rtol=0, atol=1e-10)
    torch.testing.assert_close(state_out, fresh_state, rtol=0, atol=1e-10)
    before, carried = torch.autograd.grad(y[:, start:].sum(), [x, state], materialize_grads=True)
    assert (before[:, :start] == 0).all()
    assert (carried == 0).all()


def test_no_first_step_is_the_same_as_none(model, generator):
    x, state = inputs_and_state(model, generator)

    y, state_out = model(x, state, torch.zeros(BATCH, STEPS))
    y_none, state_none = model(x, state)

    torch.testing.assert_close(y, y_none, rtol=0, atol=0)
    torch.testing.assert_close(state_out, state_none, rtol=0, atol=0)


def test_the_past_is_remembered(model, generator):
    x, state = inputs_and_state(model, generator)
    x.requires_grad_()
    state.requires_grad_()

    y, _ = model(x, state)
    if not model.state_size:  # and where there is no state, nothing is
        (grad_x,) = torch.autograd.grad(y[:, STEPS // 2 :].sum(), [x])
        assert (grad_x[:, : STEPS // 2] == 0).all()
        return
    grad_x, grad_state = torch.autograd.grad(y[:, STEPS // 2 :].sum(), [x, state])

    # A single step may be written nowhere: all of a small head's relus can be zero.
    assert (grad_x[:, :3].abs().amax(dim=(1, 2)) > 0).all()
    assert (grad_state.abs().amax(dim=-1) > 0).all()


def test_padding_after_a_step_does_not_change_it(model, generator):
    x, state = inputs_and_state(model, generator)
    padded = torch.cat([x[:, :6], 100 * torch.ones_like(x[:, 6:])], dim=1)

    torch.testing.assert_close(model(padded, state)[0][:, :6], model(x, state)[0][:, :6], rtol=0, atol=1e-12)


def test_rows_never_see_each_other(model, generator):
    x, state = inputs_and_state(model, generator)
    is_first = torch.rand(BATCH, STEPS, generator=generator) < 0.25

    y, state_out = model(x, state, is_first)

    for row in range(BATCH):
        y_row, state_row = model(x[row : row + 1], state[row : row + 1], is_first[row : row + 1])
        torch.testing.assert_close(y_row, y[row : row + 1], rtol=0, atol=1e-10)
        torch.testing.assert_close(state_row, state_out[row : row + 1], rtol=0, atol=1e-10)


def test_float32_is_close_to_float64(model, generator):
    x, state = inputs_and_state(model, generator)
    single = copy.deepcopy(model).float()

    y, state_out = model(x, state)
    y_single, state_single = single(x.float(), state.float())

    torch.testing.assert_close(y_single.double(), y, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(state_single.double(), state_out, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("magnitude", [0.0, 1.0, 1e4])
def test_outputs_states_and_gradients_stay_finite(model, generator, magnitude):
    model = model.float()
    x = magnitude * (2 * torch.rand(BATCH, 200, model.input_dim, generator=generator) - 1)
    state = model.initial_state(BATCH)

    y, state_out = model(x, state)
    (y.square().mean() + state_out.square().mean()).backward()

    assert torch.isfinite(y).all()
    assert torch.isfinite(state_out).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_a_long_life_stays_finite_and_bounded(model, generator):
    model = model.float()
    state = model.initial_state(1)
    with torch.no_grad():
        # What grows by a constant each step or by a factor shows in 5,000 as it does in more: segments, windows and
        # timescales are a hundred times shorter, and what only counts steps has its tests in test_counters.py.
        for _ in range(10):
            y, state = model(torch.randn(1, 500, model.input_dim, generator=generator), state)
    assert torch.isfinite(y).all()
    assert torch.isfinite(state).all()
    assert state.shape == (1, model.state_size)


def test_shapes_and_dtypes(model):
    model = model.float()
    y, state = model(torch.zeros(BATCH, STEPS, model.input_dim), model.initial_state(BATCH))
    assert y.shape == (BATCH, STEPS, model.output_dim)
    assert state.shape == (BATCH, model.state_size)
    assert y.dtype == state.dtype == torch.float32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": (BATCH, STEPS, 6)}, r"x has shape \[3, 11, 6\]; expected \[B, T, 5\]"),
        ({"x": (BATCH, 5)}, "x has shape"),
        ({"x": (BATCH, 0, 5)}, "T ≥ 1"),
        ({"state": (BATCH + 1, None)}, "state has shape"),
        ({"is_first": (BATCH, STEPS + 1)}, "is_first has shape"),
    ],
)
def test_wrong_shapes_are_refused(model, wrong, message):
    shapes = {"x": (BATCH, STEPS, model.input_dim), "state": (BATCH, model.state_size), "is_first": (BATCH, STEPS)}
    shapes |= {
        key: tuple(size or model.state_size for size in shape) if key == "state" else shape
        for key, shape in wrong.items()
    }
    tensors = {key: torch.zeros(shape, dtype=torch.float64) for key, shape in shapes.items()}
    with pytest.raises(ValueError, match=message):
        model(**tensors)


def test_a_pickled_copy_computes_the_same(model, generator):
    x, state = inputs_and_state(model, generator)
    clone = pickle.loads(pickle.dumps(model))
    torch.testing.assert_close(clone(x, state), model(x, state), rtol=0, atol=0)


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_no_rows_at_all_are_read_as_well(model, steps, with_resets):
    x = torch.zeros(0, steps, model.input_dim, dtype=torch.float64, requires_grad=True)
    is_first = torch.zeros(0, steps) if with_resets else None

    y, state = model(x, model.initial_state(0), is_first)
    (y.sum() + state.sum()).backward()
    with torch.no_grad():
        acted, acted_state = model(x, model.initial_state(0), is_first)

    assert y.shape == acted.shape == (0, steps, model.output_dim)
    assert state.shape == acted_state.shape == (0, model.state_size)
    assert all(parameter.grad is None or (parameter.grad == 0).all() for parameter in model.parameters())
