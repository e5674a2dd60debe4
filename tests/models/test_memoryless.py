"""The baselines without attention: no memory at all, and the last inputs side by side."""

from collections import deque

import pytest
import torch
from torch import Tensor, nn

import rllib_recattn as ra
from rllib_recattn.models.base import SequenceModel, StateLayout
from tests.models.variants import shaken


def layer_norm(y: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = y - y.mean()
    return centred / (centred.square().mean() + norm.eps).sqrt() * norm.weight + norm.bias


def written_out(network: nn.Module, x: Tensor) -> Tensor:
    """The blocks for a lone input [n_inputs], in the equations of GTrXL's paper."""
    y = (network.embedding.weight @ x + network.embedding.bias).clamp(min=0)
    for layer in network.layers:
        norm, first, _, second = layer.feedforward
        hidden = (first.weight @ layer_norm(y, norm) + first.bias).clamp(min=0)
        added, gate = second.weight @ hidden + second.bias, layer.feedforward_gate
        if gate is None:
            y = y + added
            continue
        w_r, w_z, w_g = gate.from_sublayer.weight.chunk(3)
        u_r, u_z = gate.from_skip.weight.chunk(2)
        added = added.clamp(min=0)
        reset = torch.sigmoid(w_r @ added + u_r @ y)
        update = torch.sigmoid(w_z @ added + u_z @ y - gate.bias)
        y = (1 - update) * y + update * torch.tanh(w_g @ added + gate.from_reset_skip.weight @ (reset * y))
    return y if isinstance(network.output_norm, nn.Identity) else layer_norm(y, network.output_norm)


@pytest.mark.another_implementation("memoryless", "frame_stack")
@pytest.mark.parametrize("residual", ["gated", "sum"])
@pytest.mark.parametrize(("name", "n_frames"), [("memoryless", 1), ("frame_stack", 3), ("frame_stack", 1)])
def test_equals_the_equations_written_out(name, n_frames, residual, generator):
    settings = {"d_model": 6, "n_layers": 2, "d_ff": 5, "residual": residual}
    model = shaken((name, {**settings, "n_frames": n_frames} if name == "frame_stack" else settings))
    x = torch.randn(2, 7, model.input_dim, generator=generator, dtype=torch.float64)
    is_first = torch.tensor([[0, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]])
    # Row 0 goes on from an episode of one step, row 1 from one of five.
    history = torch.randn(2, 5, model.input_dim, generator=generator, dtype=torch.float64)
    _, state = model(history, model.initial_state(2), torch.tensor([[1, 0, 0, 0, 1], [1, 0, 0, 0, 0]]))

    y, new_state = model(x, state, is_first)

    zeros = [torch.zeros_like(x[0, 0])] * n_frames
    for row, before in enumerate((history[0, 4:], history[1])):
        frames = deque([*zeros, *before], maxlen=n_frames)
        for t in range(7):
            if is_first[row, t]:
                frames.extend(zeros)
            frames.append(x[row, t])
            expected = written_out(model.network, torch.cat(list(reversed(frames))))
            torch.testing.assert_close(y[row, t], expected, rtol=0, atol=1e-12)
        remembered = list(reversed(frames))[: n_frames - 1]
        torch.testing.assert_close(new_state[row], torch.cat([x[row, 0, :0], *remembered]), rtol=0, atol=0)


def test_there_is_no_state_and_no_memory():
    model = ra.build_model("memoryless", input_dim=3)
    assert model.state_size == 0
    assert model.initial_state(4).shape == (4, 0)
    assert model.memories(model.initial_state(4)) == {}


@pytest.mark.parametrize(("n_frames", "size"), [(1, 0), (4, 3 * 5)])
def test_the_state_of_a_stack_is_all_inputs_but_the_newest(n_frames, size):
    model = ra.build_model("frame_stack", input_dim=5, n_frames=n_frames)
    assert (model.state_size, model.initial_state(2).abs().sum()) == (size, 0)


class Scaled(SequenceModel):
    """As another package may write a model that has no state."""

    def __init__(self):
        super().__init__(3, 3, StateLayout({}))
        self.scale = nn.Parameter(torch.ones(3))

    def read(self, x, state, is_first):
        assert state == {}
        return x * self.scale, {}


def test_a_layout_without_parts_is_enough_of_a_state():
    model, x = Scaled(), torch.randn(2, 4, 3)
    for is_first in (None, torch.ones(2, 4)):
        y, state = model(x, model.initial_state(2), is_first)
        torch.testing.assert_close(y, x)
        assert state.shape == (2, 0)
        with torch.no_grad():
            y, state = model(x[:, :1], state, None if is_first is None else is_first[:, :1])
        torch.testing.assert_close(y, x[:, :1])
        assert state.shape == (2, 0)


@pytest.mark.parametrize("where", [0, 1])
def test_a_hybrid_has_the_state_of_its_other_model(where, generator):
    models = [{"name": "gru", "d_model": 4}]
    models.insert(where, {"name": "memoryless", "d_model": 4, "n_layers": 1})
    model = ra.build_model("hybrid", input_dim=3, models=models).double()
    assert model.state_size == 4
    assert list(model.memories(model.initial_state(1))) == [f"models.{1 - where}.layers.0.h"]
    x = torch.randn(2, 6, 3, generator=generator, dtype=torch.float64)
    y, state = model(x, model.initial_state(2))
    first, middle = model(x[:, :2], model.initial_state(2))
    rest, last = model(x[:, 2:], middle)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), y, rtol=0, atol=1e-12)
    torch.testing.assert_close(last, state, rtol=0, atol=1e-12)
