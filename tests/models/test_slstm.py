"""sLSTM against vectors of the xLSTM authors' cell; see reference_vectors/README.md."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rllib_recattn as ra
from rllib_recattn.models.slstm import SLSTMRecurrence, SLSTMSettings, slstm

PARTS = "ycnm"


@pytest.fixture
def vectors():
    with np.load(Path(__file__).parent / "reference_vectors" / "slstm.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.mark.another_implementation("slstm")
@pytest.mark.parametrize("split", [None, 5, 1])
def test_outputs_states_and_gradients(vectors, split):
    wx, recurrent, bias = (vectors[name].requires_grad_() for name in ("wx", "recurrent", "bias"))
    n_heads, d_head = recurrent.shape[:2]
    state = {part: torch.zeros(len(wx), n_heads, d_head, dtype=torch.float64) for part in PARTS}
    outputs = []
    for part in (wx + bias).split(split or wx.shape[1], dim=1):
        y, _, state = slstm(part, recurrent, state, None)
        outputs.append(y.flatten(2))
    y = torch.cat(outputs, dim=1)
    torch.testing.assert_close(y, vectors["o"], rtol=0, atol=1e-9)
    for part in PARTS:
        torch.testing.assert_close(state[part].flatten(1), vectors[f"state_out/{part}"], rtol=0, atol=1e-9)
    gradients = torch.autograd.grad((y * vectors["cotangent"]).sum(), [wx, recurrent, bias])
    for name, gradient in zip(("wx", "recurrent", "bias"), gradients, strict=True):
        torch.testing.assert_close(gradient, vectors[f"grad/{name}"], rtol=0, atol=1e-9)


def small() -> SLSTMRecurrence:
    torch.manual_seed(0)
    mixer = SLSTMRecurrence(SLSTMSettings(d_model=5, n_heads=2, d_head=3)).double()
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return mixer


def a_state(mixer: SLSTMRecurrence, h: torch.Tensor) -> dict[str, torch.Tensor]:
    zeros = {part: torch.zeros(len(h), *shape, dtype=torch.float64) for part, shape in mixer.state_parts.items()}
    return mixer(h, zeros, None, None)[1]


def test_a_layer_is_its_equations_written_out(generator):
    """Without m, whose place is in what numbers can hold alone: c and n as the sums that they stand for."""
    mixer = small()
    h = torch.randn(1, 6, 5, generator=generator, dtype=torch.float64)
    state = a_state(mixer, torch.randn(1, 4, 5, generator=generator, dtype=torch.float64))
    is_first = torch.arange(6).unsqueeze(0) == 3
    y, new_state = mixer(h, state, is_first, None)

    last = state["y"][0]
    c, n = (state[part][0] * state["m"][0].exp() for part in "cn")
    for t in range(6):
        if t == 3:
            last, c, n = (torch.zeros(2, 3, dtype=torch.float64) for _ in range(3))
        inputs = (mixer.project.weight @ h[0, t] + mixer.project.bias).view(4, 2, 3)
        heads = []
        for head in range(2):
            i, f, z, o = (
                inputs[gate, head] + sum(last[head, k] * mixer.recurrent[head, k, gate] for k in range(3))
                for gate in range(4)
            )
            keep = 1 / (1 + torch.exp(-f))
            heads.append((keep * c[head] + torch.exp(i) * torch.tanh(z), keep * n[head] + torch.exp(i), o))
        c, n, o = (torch.stack(parts) for parts in zip(*heads, strict=True))
        last = c / n / (1 + torch.exp(-o))
        normed = last / (last.square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight
        expected = mixer.output.weight @ normed.flatten() + mixer.output.bias
        torch.testing.assert_close(y[0, t], expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(new_state["y"][0], last, rtol=0, atol=1e-11)


def test_the_gate_is_what_the_state_loses_with_a_step(generator):
    mixer = small()
    h = torch.randn(2, 1, 5, generator=generator, dtype=torch.float64)
    state = a_state(mixer, torch.randn(2, 4, 5, generator=generator, dtype=torch.float64))
    forgotten = mixer.gates(h, state, None, None)["1 − f"][:, 0]
    for part in "cn":
        before = state[part].detach().requires_grad_()
        _, after = mixer(h, {**state, part: before}, None, None)
        (kept,) = torch.autograd.grad(after[part].sum(), before)
        torch.testing.assert_close(kept, 1 - forgotten, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_large_gates_leave_all_finite(size):
    wx = torch.zeros(1, 50, 4 * 2, requires_grad=True)
    gates = wx + size * torch.tensor([1.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    recurrent = torch.zeros(1, 2, 4, 2)
    y, kept, state = slstm(gates, recurrent, {part: torch.zeros(1, 1, 2) for part in PARTS}, None)
    (grad,) = torch.autograd.grad(y.sum() + kept.sum(), wx)
    assert all(torch.isfinite(x).all() for x in (y, kept, grad, *state.values()))


def test_forget_gates_start_with_time_scales_up_to_the_longest():
    mixer = SLSTMRecurrence(SLSTMSettings(d_model=8, n_heads=2, d_head=4, max_timescale=50))
    kept = torch.sigmoid(mixer.project.bias.view(4, 2, 4)[1])
    torch.testing.assert_close(1 / (1 - kept[:, [0, -1]]), torch.tensor([[2.0, 50.0]] * 2), rtol=1e-4, atol=0)
    assert not mixer.recurrent.any()


def test_the_state_at_the_default_size():
    assert ra.build_model("slstm", input_dim=3).state_size == 4 * 4 * 4 * 64
