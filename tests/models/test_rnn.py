"""LSTM and GRU against their equations written out, and what a first step costs."""

import pytest
import torch
from torch import nn

import rllib_recattn as ra


def lstm_step(x, parts, w, u):
    i, f, g, o = (x @ w[0].T + w[1] + parts["h"] @ u[0].T + u[1]).chunk(4, dim=-1)
    c = torch.sigmoid(f) * parts["c"] + torch.sigmoid(i) * torch.tanh(g)
    return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}


def gru_step(x, parts, w, u):
    x_r, x_z, x_n = (x @ w[0].T + w[1]).chunk(3, dim=-1)
    h_r, h_z, h_n = (parts["h"] @ u[0].T + u[1]).chunk(3, dim=-1)
    z = torch.sigmoid(x_z + h_z)
    return {"h": (1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + z * parts["h"]}


def written_out(model, step, x, parts, is_first):
    """The equations, step by step and layer by layer; a first step begins with zeros."""
    outputs = []
    for x_t, first in zip(x.unbind(1), is_first.unbind(1), strict=True):
        parts = {name: torch.where(first[:, None, None], 0, part) for name, part in parts.items()}
        h, layers = x_t, []
        for layer in range(model.network.num_layers):
            weights = [getattr(model.network, f"{kind}_l{layer}") for kind in ("weight_ih", "bias_ih")]
            recurrent = [getattr(model.network, f"{kind}_l{layer}") for kind in ("weight_hh", "bias_hh")]
            layers.append(step(h, {name: part[:, layer] for name, part in parts.items()}, weights, recurrent))
            h = layers[-1]["h"]
        parts = {name: torch.stack([each[name] for each in layers], dim=1) for name in parts}
        outputs.append(h)
    return torch.stack(outputs, dim=1), parts


@pytest.mark.another_implementation("lstm", "gru")
@pytest.mark.parametrize(("name", "step", "names"), [("lstm", lstm_step, {"h", "c"}), ("gru", gru_step, {"h"})])
@pytest.mark.parametrize("resets", [0.0, 0.2, 1.0])
def test_equals_the_equations_written_out(name, step, names, resets):
    torch.manual_seed(0)
    model = ra.build_model(name, input_dim=3, d_model=7, n_layers=2).double()
    assert set(model.state_layout.parts) == names
    x = torch.randn(4, 9, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(4, model.state_size, dtype=torch.float64, requires_grad=True)
    is_first = torch.rand(4, 9) < resets

    y, state_out = model(x, state, is_first)
    expected_y, expected_parts = written_out(model, step, x, model.state_layout.unpack(state), is_first)

    torch.testing.assert_close(y, expected_y, rtol=0, atol=1e-12)
    torch.testing.assert_close(state_out, model.state_layout.pack(expected_parts), rtol=0, atol=1e-12)
    inputs = [x, state, *model.parameters()]
    cotangent = torch.randn_like(y)
    expected_gradients = torch.autograd.grad(expected_y, inputs, cotangent, allow_unused=True, materialize_grads=True)
    gradients = torch.autograd.grad(y, inputs, cotangent, allow_unused=True, materialize_grads=True)
    for gradient, expected in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("first_steps", "lengths"),
    [
        (None, [6]),
        ([], [6]),
        ([(0, 0), (1, 0)], [6]),
        ([(0, 2), (1, 2), (1, 5)], [2, 3, 1]),
    ],
)
def test_the_sequence_is_cut_only_where_a_row_starts_anew(name, first_steps, lengths):
    model = ra.build_model(name, input_dim=3, d_model=4)
    is_first = None if first_steps is None else torch.zeros(2, 6)
    for row, step in first_steps or []:
        is_first[row, step] = 1
    called = []
    model.network.register_forward_hook(lambda network, inputs, output: called.append(inputs[0].shape[1]))

    model(torch.zeros(2, 6, 3), model.initial_state(2), is_first)

    assert called == lengths


@pytest.mark.parametrize(("name", "per_layer", "kind"), [("lstm", 2 * 256, nn.LSTM), ("gru", 256, nn.GRU)])
def test_the_default_is_as_wide_as_rllibs_lstm(name, per_layer, kind):
    model = ra.build_model(name, input_dim=3)
    assert type(model.network) is kind
    assert (model.output_dim, model.state_size) == (256, per_layer)
    assert ra.build_model(name, input_dim=3, n_layers=3).state_size == 3 * per_layer


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_weights_start_as_pytorch_starts_them(name):
    torch.manual_seed(3)
    model = ra.build_model(name, input_dim=3, d_model=8)
    torch.manual_seed(3)
    pytorchs = {"lstm": nn.LSTM, "gru": nn.GRU}[name](3, 8)
    for parameter, expected in zip(model.network.parameters(), pytorchs.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_features_are_kept_for_2_to_max_timescale_steps_at_the_start(name):
    model = ra.build_model(name, input_dim=3, d_model=16, n_layers=2, max_timescale=50).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.zero_()  # biases alone
    state = torch.ones(1, model.state_size, dtype=torch.float64)

    _, state_out = model(torch.ones(1, 1, 3, dtype=torch.float64), state)

    kept = model.state_layout.unpack(state_out)["c" if name == "lstm" else "h"][0]
    for layer in kept:
        timescales = 1 / (1 - layer)
        torch.testing.assert_close(
            timescales[[0, -1]], torch.tensor([2.0, 50.0], dtype=torch.float64), rtol=1e-5, atol=0
        )
        ratios = timescales[1:] / timescales[:-1]
        torch.testing.assert_close(ratios, ratios[:1].expand(15), rtol=1e-4, atol=0)


def test_an_lstm_that_keeps_for_long_writes_as_slowly():
    network = ra.build_model("lstm", input_dim=3, d_model=16, max_timescale=50).network
    i, f, g, o = (network.bias_ih_l0 + network.bias_hh_l0).chunk(4)
    torch.testing.assert_close(torch.sigmoid(i), 1 - torch.sigmoid(f))
    assert not torch.cat([g, o]).any()


def test_biases_start_as_pytorch_starts_them_unless_told_otherwise():
    torch.manual_seed(0)
    network = ra.build_model("gru", input_dim=3, d_model=16).network
    torch.manual_seed(0)
    theirs = nn.GRU(3, 16, 1, batch_first=True)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), theirs.parameters(), strict=True))
