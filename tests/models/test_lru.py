"""The LRU and RTU against NumPy's complex numbers."""

import numpy as np
import pytest
import torch

import rllib_recattn as ra
from rllib_recattn.models.lru import LRURecurrence, LRUSettings
from rllib_recattn.models.parts.complex_scan import complex_recurrence
from rllib_recattn.models.registry import settings_of

NAMES = {"lru": "linear", "rtu": "rectified"}


def small(readout: str) -> LRURecurrence:
    torch.manual_seed(0)
    return LRURecurrence(LRUSettings(d_model=5, d_state=4, max_timescale=9.0, readout=readout)).double()


@pytest.mark.another_implementation("lru", "rtu")
@pytest.mark.parametrize("readout", NAMES.values())
@pytest.mark.parametrize("lengths", [[9], [1] * 9, [4, 5]])
def test_a_layer_is_its_equations_in_complex_numbers(readout, lengths, generator):
    mixer = small(readout)
    h = torch.randn(2, 9, 5, generator=generator, dtype=torch.float64)
    memory = torch.randn(2, 2, 4, generator=generator, dtype=torch.float64)
    is_first = torch.tensor([[t in starts for t in range(9)] for starts in ((), (0, 4, 5))])
    state, outputs = {"memory": memory}, []
    with torch.no_grad():
        for part, first in zip(h.split(lengths, dim=1), is_first.split(lengths, dim=1), strict=True):
            y, state = mixer(part, state, first, None)
            outputs.append(y)

    weights = {name: value.detach().numpy() for name, value in mixer.named_parameters()}
    b = weights["input.weight"][:4] + 1j * weights["input.weight"][4:]
    c = weights["output.weight"][:, :4] - 1j * weights["output.weight"][:, 4:]
    decay = np.exp(-np.exp(weights["log_rate"]) + 1j * np.exp(weights["log_phase"]))
    scale = np.sqrt(1 - np.abs(decay) ** 2)
    for row in range(2):
        x = memory[row, 0].numpy() + 1j * memory[row, 1].numpy()
        for t in range(9):
            if is_first[row, t]:
                x = np.zeros(4)
            u = h[row, t].numpy()
            x = decay * x + scale * (b @ u)
            if readout == "linear":
                y = (c @ x).real + weights["skip"] * u
            else:
                y = weights["output.weight"] @ np.maximum(np.concatenate([x.real, x.imag]), 0)
            np.testing.assert_allclose(torch.cat(outputs, dim=1)[row, t], y, rtol=0, atol=1e-12)
        np.testing.assert_allclose(state["memory"][row], np.stack([x.real, x.imag]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 5])
def test_gradients_of_the_recurrence_equal_finite_differences(steps, generator):
    def of(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    operands = of(3, 1), of(1, 2), of(2, steps, 2, 3, 2), of(2, 2, 3, 2)
    is_first = torch.rand(2, steps, generator=generator) < 0.3
    assert torch.autograd.gradcheck(lambda *each: complex_recurrence(*each, is_first), operands)
    assert torch.autograd.gradcheck(lambda *each: complex_recurrence(*each, None), operands)


def test_rows_of_many_steps_are_exact_in_float32(generator):
    """An angle that is counted from a row's beginning grows large: in float32 alone 3,000 turns are off by 1e-3."""
    steps = 3000
    decay, phase = torch.tensor([0.9999, 0.99]), torch.tensor([3.1, 2.0])
    update = torch.randn(1, steps, 2, 2, generator=generator) / 100
    initial = torch.randn(1, 2, 2, generator=generator)
    exact = complex_recurrence(decay.double(), phase.double(), update.double(), initial.double(), None)
    single = complex_recurrence(decay, phase, update, initial, None)
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("name", "readout"), NAMES.items())
def test_the_names_are_the_same_model_with_another_default(name, readout):
    assert settings_of(name)().readout == readout
    assert ra.build_model(name, input_dim=3).state_size == 4 * 2 * 128
    assert ("skip" in dict(ra.build_model(name, input_dim=3).layers[0].mixer.named_parameters())) == (name == "lru")


def test_paces_start_spread_over_many_steps_and_turns_within_the_largest():
    mixer = LRURecurrence(LRUSettings(d_model=200, max_timescale=50, max_phase=0.3))
    timescales = -1 / torch.log1p(-mixer.gates(torch.zeros(1, 1, 200), {}, None, None)["1 − |λ|"].flatten())
    torch.testing.assert_close(timescales[[0, -1]], torch.tensor([2.0, 50.0]), rtol=1e-4, atol=0)
    phases = mixer.log_phase.exp()
    assert 0.28 < phases.max() <= 0.3
    assert 0 < phases.min() < 0.02


def test_the_memory_is_as_large_at_every_pace(generator):
    """γ: of white noise each number keeps the variance that B h has."""
    mixer = LRURecurrence(LRUSettings(d_model=8, d_state=3, max_timescale=30))
    with torch.no_grad():
        h = torch.randn(64, 300, 8, generator=generator)
        _, state = mixer(h, {"memory": torch.zeros(64, 2, 3)}, None, None)
        written = mixer.input(h).unflatten(-1, (2, -1)).square().sum(2).mean((0, 1))
    torch.testing.assert_close(state["memory"].square().sum(1).mean(0), written, rtol=0.5, atol=0)
