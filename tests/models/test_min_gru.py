"""minGRU against its equations written out step by step."""

import pytest
import torch

import rllib_recattn as ra
from rllib_recattn.models.min_gru import MinGRURecurrence, MinGRUSettings


def small(**settings) -> MinGRURecurrence:
    torch.manual_seed(0)
    mixer = MinGRURecurrence(MinGRUSettings(**{"d_model": 5, "d_state": 4, **settings})).double()
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter)
    return mixer


@pytest.mark.another_implementation("min_gru")
@pytest.mark.parametrize("steps", [1, 6])
def test_a_layer_is_its_equations_written_out(steps, generator):
    mixer = small()
    h = torch.randn(2, steps, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    hidden = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    is_first = torch.tensor([[False] * steps, [t == steps // 2 for t in range(steps)]])
    y, state = mixer(h, {"hidden": hidden}, is_first, None)

    (w_z, w_h), (b_z, b_h) = mixer.project.weight.chunk(2), mixer.project.bias.chunk(2)
    rows, lasts = [], []
    for row in range(2):
        s, outputs = hidden[row], []
        for t in range(steps):
            if is_first[row, t]:
                s = torch.zeros(4, dtype=torch.float64)
            new = []
            for unit in range(4):
                z = 1 / (1 + torch.exp(-(w_z[unit] @ h[row, t] + b_z[unit])))
                x = w_h[unit] @ h[row, t] + b_h[unit]
                g = x + 0.5 if x >= 0 else 1 / (1 + torch.exp(-x))
                new.append((1 - z) * s[unit] + z * g)
            s = torch.stack(new)
            outputs.append(mixer.output.weight @ s + mixer.output.bias)
        rows.append(torch.stack(outputs))
        lasts.append(s)
    expected, last = torch.stack(rows), torch.stack(lasts)

    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(state["hidden"], last, rtol=0, atol=1e-12)
    inputs = [h, hidden, *mixer.parameters()]
    gradients = torch.autograd.grad(y.sin().sum() + state["hidden"].sum(), inputs)
    expected_gradients = torch.autograd.grad(expected.sin().sum() + last.sum(), inputs)
    for gradient, value in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, value, rtol=0, atol=1e-11)


def test_the_form_in_logarithms_gives_the_same(generator):
    """Which the paper trains with (its appendix B): log Σ exp over the writes of a sequence, as a second opinion."""
    mixer = small()
    h = torch.randn(1, 7, 5, generator=generator, dtype=torch.float64)
    k, x = mixer.project(h).chunk(2, dim=-1)
    log_decay, log_z = -torch.nn.functional.softplus(k), -torch.nn.functional.softplus(-k)
    log_g = torch.where(x >= 0, torch.log(x.clamp(min=0) + 0.5), -torch.nn.functional.softplus(-x))
    so_far = log_decay.cumsum(dim=1)
    hidden = torch.exp(so_far + torch.logcumsumexp(log_z + log_g - so_far, dim=1))

    _, state = mixer(h, {"hidden": torch.zeros(1, 4, dtype=torch.float64)}, None, None)

    torch.testing.assert_close(state["hidden"], hidden[:, -1], rtol=0, atol=1e-12)


def test_gates_start_with_time_scales_up_to_the_longest():
    mixer = MinGRURecurrence(MinGRUSettings(d_model=8, max_timescale=50))
    timescales = 1 / mixer.gates(torch.zeros(1, 1, 8), {}, None, None)["z"].flatten()
    torch.testing.assert_close(timescales[[0, -1]], torch.tensor([2.0, 50.0]))


@pytest.mark.parametrize(
    ("settings", "size"), [({}, 4 * (128 + 3 * 128)), ({"conv_size": 0, "d_state": 9, "n_layers": 2}, 18)]
)
def test_the_size_of_the_state(settings, size):
    assert ra.build_model("min_gru", input_dim=3, **settings).state_size == size
