"""FFM against vectors of its authors' layer; see reference_vectors/README.md."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rllib_recattn as ra
from rllib_recattn.models.ffm import FFMLayer, FFMSettings

WEIGHTS = {
    "project.weight": "pre.weight",
    "project.bias": "pre.bias",
    "rate": "ffa.a",
    "frequency": "ffa.b",
    "output.weight": "mix.weight",
    "output.bias": "mix.bias",
}


@pytest.fixture
def vectors():
    with np.load(Path(__file__).parent / "reference_vectors" / "ffm_layer.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def layer_of(vectors) -> FFMLayer:
    settings = FFMSettings(memory_size=vectors["param/ffa.a"].numel(), context_size=vectors["param/ffa.b"].numel())
    layer = FFMLayer(vectors["x"].shape[-1], vectors["o"].shape[-1], settings).double()
    shapes = {name: parameter.shape for name, parameter in layer.named_parameters()}
    layer.load_state_dict({ours: vectors[f"param/{name}"].view(shapes[ours]) for ours, name in WEIGHTS.items()})
    return layer


def as_real(state: torch.Tensor) -> torch.Tensor:
    """[B, 2, m, c] of complex [B, …, m, c]."""
    state = state.flatten(0, -3)
    return torch.stack([state.real, state.imag], dim=1)


@pytest.mark.another_implementation("ffm")
@pytest.mark.parametrize("split", [None, 4, 1])
def test_outputs_states_and_gradients(vectors, split):
    layer, x = layer_of(vectors), vectors["x"].requires_grad_()
    state, outputs = {"memory": as_real(vectors["state_in"])}, []
    for part in x.split(split or x.shape[1], dim=1):
        y, state = layer(part, state, None, None)
        outputs.append(y)
    y = torch.cat(outputs, dim=1)
    torch.testing.assert_close(y, vectors["o"], rtol=0, atol=1e-9)
    torch.testing.assert_close(state["memory"], as_real(vectors["state_out"]), rtol=0, atol=1e-9)
    parameters = {f"param/{name}": layer.get_parameter(ours) for ours, name in WEIGHTS.items()}
    wanted = {name: value for name, value in {"x": x, **parameters}.items() if f"grad/{name}" in vectors}
    assert "x" in wanted
    gradients = torch.autograd.grad((y * vectors["cotangent"]).sum(), list(wanted.values()))
    for name, gradient in zip(wanted, gradients, strict=True):
        torch.testing.assert_close(
            gradient.view_as(vectors[f"grad/{name}"]), vectors[f"grad/{name}"], rtol=0, atol=1e-9
        )


def test_a_first_step_forgets(vectors):
    layer, x = layer_of(vectors), vectors["x"]
    is_first = torch.zeros(x.shape[:2], dtype=torch.bool)
    is_first[:, 5] = True
    y, state = layer(x, {"memory": as_real(vectors["state_in"])}, is_first, None)
    zeros = torch.zeros_like(as_real(vectors["state_in"]))
    fresh, fresh_state = layer(x[:, 5:], {"memory": zeros}, None, None)
    torch.testing.assert_close(y[:, 5:], fresh, rtol=0, atol=1e-12)
    torch.testing.assert_close(state["memory"], fresh_state["memory"], rtol=0, atol=1e-12)


def test_rates_and_frequencies_at_the_start():
    layer = FFMLayer(8, 8, FFMSettings(max_timescale=100, max_period=50))
    forgotten = layer.gates(torch.zeros(1, 1, 8), {}, None, None)["1 − |γ|"].flatten()
    torch.testing.assert_close((-1 / torch.log1p(-forgotten))[[0, -1]], torch.tensor([2.0, 100.0]), rtol=1e-3, atol=0)
    torch.testing.assert_close((2 * torch.pi / layer.frequency)[[0, -1]], torch.tensor([1.0, 50.0]))


def test_the_state_at_the_default_size():
    assert ra.build_model("ffm", input_dim=3).state_size == 4 * 2 * 32 * 4
