"""mLSTM against vectors of the xlstm package's cells, and its equations written out."""

import math

import pytest
import torch
from torch import nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.mlstm import MLSTMMixer, MLSTMSettings, exponential_memory
from rllib_recattn.models.parts.scan import running_maximum
from rllib_recattn.models.registry import build_model
from tests.models.memory_vectors import ATOL, assert_agree, in_pieces, load

GATES = ("q", "k", "v", "input_gate", "forget_gate")


def empty(vectors, exponent):
    rows, _, heads, keys = vectors["k"].shape
    memory = vectors["k"].new_zeros(rows, heads, keys, vectors["v"].shape[-1])
    return [memory, memory[..., 0], memory.new_full((rows, heads), exponent)]


@pytest.mark.another_implementation("mlstm")
@pytest.mark.parametrize("split", [17, 5, 1])
def test_outputs_and_states_are_those_of_xlstms_steps(split):
    vectors = load("mlstm")
    output, *state = in_pieces(exponential_memory, [vectors[key] for key in GATES], empty(vectors, 0.0), split)
    torch.testing.assert_close(output, vectors["o_recurrent"], rtol=0, atol=ATOL)
    for key, value in zip(("C", "n", "m"), state, strict=True):
        expected = vectors[f"state_out/{key}"]
        torch.testing.assert_close(value.view_as(expected), expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("split", [17, 5, 1])
def test_outputs_and_gradients_are_those_of_xlstms_parallel_form(split):
    """There m is the largest exponent so far, with no 0 before the first step, which tells in the size of ε alone."""
    vectors = load("mlstm")
    output, *_ = in_pieces(exponential_memory, [vectors[key] for key in GATES], empty(vectors, -math.inf), split)
    assert_agree(vectors, output, {})


def small(**settings) -> MLSTMMixer:
    torch.manual_seed(0)
    mixer = MLSTMMixer(MLSTMSettings(**{"d_model": 6, "n_heads": 2, "d_head": 4, "d_key": 3, **settings})).double()
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return mixer


@pytest.mark.parametrize("conv_size", [0, 3])
def test_a_layer_is_its_equations_written_out_without_a_largest_exponent(conv_size, generator):
    mixer, steps, start = small(conv_size=conv_size), 40, 25
    h = torch.randn(1, steps, 6, generator=generator, dtype=torch.float64)
    state = {part: torch.zeros(1, *shape, dtype=torch.float64) for part, shape in mixer.state_parts.items()}
    y, new_state = mixer(h, state, (torch.arange(steps) == start).unsqueeze(0), None)

    w_q, w_k = mixer.project_keys.weight.split([6, 6])
    w_v, w_g = mixer.project.weight.split([8, 8])
    for t in range(steps):
        if t in (0, start):
            began, memory, keys = t, torch.zeros(2, 3, 4).double(), torch.zeros(2, 3).double()
        c = h[0, t]
        if conv_size:
            c = sum(mixer.convolution.weight[i] * h[0, t - i] for i in range(conv_size) if t - i >= began)
            c = c * torch.sigmoid(c)
        q, k, v = (w_q @ c).view(2, 3), (w_k @ c).view(2, 3) / 3**0.5, (w_v @ h[0, t]).view(2, 4)
        i, f = (mixer.gates_of.weight @ h[0, t] + mixer.gates_of.bias).view(2, 2)
        heads = []
        memory = torch.sigmoid(f).view(2, 1, 1) * memory + i.exp().view(2, 1, 1) * k.unsqueeze(-1) * v.unsqueeze(-2)
        keys = torch.sigmoid(f).view(2, 1) * keys + i.exp().view(2, 1) * k
        for head in range(2):
            o = memory[head].T @ q[head] / (keys[head] @ q[head]).abs().clamp(min=1)
            heads.append(mixer.norm.weight * (o - o.mean()) / (o.var(correction=0) + 1e-5).sqrt())
        expected = mixer.output.weight @ (torch.cat(heads) * torch.sigmoid(w_g @ h[0, t]))
        torch.testing.assert_close(y[0, t], expected, rtol=0, atol=1e-3)  # but for the published ε of 1e-6
    scale = new_state["exponent"][0].exp()
    torch.testing.assert_close(new_state["memory"][0] * scale.view(2, 1, 1), memory, rtol=0, atol=1e-12)
    torch.testing.assert_close(new_state["keys"][0] * scale.view(2, 1), keys, rtol=0, atol=1e-12)


@pytest.mark.parametrize("share", [None, 0.2, 1.0])
@pytest.mark.parametrize("steps", [2, 33, 70])
def test_chunks_are_the_same_as_steps_with_their_gradients(steps, share, generator):
    def randn(*shape, by=1.0):
        return (by * torch.randn(2, *shape, generator=generator, dtype=torch.float64)).requires_grad_()

    inputs = [*(randn(steps, 3, 4) for _ in range(3)), *(randn(steps, 3, by=4) for _ in range(2))]
    state = [randn(3, 4, 4), randn(3, 4), randn(3)]
    is_first = torch.zeros(2, steps, dtype=torch.bool)
    if share is not None:
        is_first = torch.rand(2, steps, generator=generator) < share

    def form(*arguments):
        *operands, first, memory, keys, exponent = arguments
        return exponential_memory(*operands, memory, keys, exponent, None if share is None else first)

    results = []
    for length in (steps, 1):
        outputs = in_pieces(form, [*inputs, is_first], state, length)
        loss = sum(x.sin().sum() for x in outputs)
        results.append([*outputs, *torch.autograd.grad(loss, [*inputs, *state], materialize_grads=True)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("exponent", [-200.0, -30.0, 60.0, 200.0])
def test_float32_bears_exponents_of_any_size(exponent, generator):
    """The input gates of a whole episode move up or down by as much; another one in the same row is as always."""
    shape = (1, 600, 1)
    query, key, value = (torch.randn(*shape, 4, generator=generator) for _ in range(3))
    gates = [torch.randn(shape, generator=generator), 4 * torch.randn(shape, generator=generator)]
    gates[0][:, :300] += exponent
    is_first = torch.arange(600).unsqueeze(0) == 300
    operands = [x.requires_grad_() for x in (query, key, value, *gates)]
    state = [torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4), torch.zeros(1, 1)]
    output, *after = exponential_memory(*operands, *state, is_first)
    gradients = torch.autograd.grad(output.sum() + after[0].sum(), operands)
    assert all(torch.isfinite(x).all() for x in (output, *after, *gradients))
    exact, *_ = exponential_memory(*(x.double() for x in operands), *(x.double() for x in state), is_first)
    for episode in (slice(0, 300), slice(300, 600)):
        assert (output - exact)[:, episode].norm() <= 2e-3 * exact[:, episode].norm()


@pytest.mark.parametrize("steps", [1, 2, 7, 64])
def test_the_running_maximum_is_its_recurrence_written_out(steps, generator):
    log_decay = -torch.rand(3, steps, generator=generator, dtype=torch.float64)
    floor = torch.randn(3, steps, generator=generator, dtype=torch.float64)
    initial = torch.randn(3, generator=generator, dtype=torch.float64)
    log_decay[1, steps // 2] = initial[2] = -math.inf
    m, expected = initial, []
    for t in range(steps):
        m = torch.maximum(log_decay[:, t] + m, floor[:, t])
        expected.append(m)
    actual = running_maximum(log_decay, floor, initial)
    torch.testing.assert_close(actual, torch.stack(expected, dim=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_heads", [1, 4])
def test_heads_start_with_time_scales_up_to_the_longest_and_write_all_steps_alike(n_heads, generator):
    mixer = MLSTMMixer(MLSTMSettings(d_model=8, n_heads=n_heads, d_head=8, max_timescale=50))
    h = torch.randn(1, 3, 8, generator=generator)
    forgotten = mixer.gates(h, {}, None, None)["1 − f"]
    torch.testing.assert_close(1 / forgotten[0, :, 0, 0], torch.full((3,), 50.0))
    if n_heads > 1:
        torch.testing.assert_close(1 / forgotten[0, :, -1, 0], torch.full((3,), 2.0))
    assert (mixer.gates_of(h)[..., :n_heads] == 0).all()


def test_the_state_at_the_default_size():
    assert MLSTMSettings().build(input_dim=3).state_size == 4 * (4 * (64 * 65 + 1) + 3 * 128)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv_size": -1}, r"conv_size = -1: .*greater than or equal to 0"),
        ({"d_key": 0}, r"d_key = 0: .*greater than 0"),
        ({"max_timescale": 1.0}, r"max_timescale = 1.0: .*greater than or equal to 2"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        build_model("mlstm", input_dim=3, **settings)
