"""Mamba-2 against vectors of flash-linear-attention, and its equations written out."""

import pytest
import torch
from torch import nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.mamba2 import Mamba2Mixer, Mamba2Settings
from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.registry import build_model
from tests.models.memory_vectors import assert_agree, in_pieces, load


@pytest.mark.another_implementation("mamba2")
@pytest.mark.parametrize("split", [17, 5, 1])
def test_outputs_states_and_gradients_are_those_of_flash_linear_attention(split):
    vectors = load("scalar_decay")
    query = vectors["q"] * vectors["q"].shape[-1] ** -0.5
    steps = [query, vectors["k"], vectors["v"], vectors["log_decay"].exp().unsqueeze(-1)]
    output, memory = in_pieces(gated_linear_attention, steps, [vectors["state_in"]], split)
    assert_agree(vectors, output, {"state_out": memory})


@pytest.mark.parametrize("share", [None, 0.2])
@pytest.mark.parametrize("steps", [1, 2, 40])
def test_one_key_for_all_heads_is_the_same_key_for_each(steps, share, generator):
    def randn(*shape):
        return torch.randn(2, *shape, generator=generator, dtype=torch.float64).requires_grad_()

    query, key, value, initial = randn(steps, 1, 3), randn(steps, 1, 3), randn(steps, 4, 5), randn(4, 3, 5)
    decay = torch.sigmoid(randn(steps, 4, 1)).detach().requires_grad_()
    is_first = None if share is None else torch.rand(2, steps, generator=generator) < share
    inputs = [query, key, value, decay, initial]
    each = [x.expand(-1, -1, 4, 3) for x in (query, key, decay)]
    results = []
    for tensors in (inputs, [each[0], each[1], value, each[2], initial]):
        output, memory = gated_linear_attention(*tensors, is_first)
        loss = output.sin().sum() + memory.cos().sum()
        results.append([output, memory, *torch.autograd.grad(loss, inputs)])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("conv_size", [0, 3])
def test_a_layer_is_its_equations_written_out(conv_size, generator):
    torch.manual_seed(0)
    settings = Mamba2Settings(d_model=6, n_heads=2, d_head=4, d_key=3, conv_size=conv_size)
    mixer, steps = Mamba2Mixer(settings).double(), 5
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.5)
    h = torch.randn(1, steps, 6, generator=generator, dtype=torch.float64)
    state = {
        part: torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        for part, shape in mixer.state_parts.items()
    }
    y, new_state = mixer(h, state, None, None)

    w_q, w_k, w_v, w_g, w_step = mixer.project.weight.split([3, 3, 8, 8, 2])
    features = torch.cat([h[0] @ w.T for w in (w_q, w_k, w_v)], dim=-1)
    past = [*state["recent"][0].flip(0), *features] if conv_size else list(features)
    memories = list(state["memory"][0])
    for t in range(steps):
        x = features[t]
        if conv_size:
            x = sum(mixer.convolution.weight[i] * past[t + conv_size - 1 - i] for i in range(conv_size))
        q, k, v = (x * torch.sigmoid(x)).split([3, 3, 8])
        heads = []
        for head in range(2):
            step = torch.log1p(torch.exp(w_step[head] @ h[0, t] + mixer.step_bias[head]))
            decay = torch.exp(-step * mixer.decay_rate[head].exp())
            value = v.view(2, 4)[head]
            memories[head] = decay * memories[head] + torch.outer(k, step * value)
            heads.append(memories[head].T @ q + mixer.skip[head] * value)
        gate = w_g @ h[0, t]
        gated = torch.cat(heads) * gate * torch.sigmoid(gate)
        expected = mixer.output.weight @ (mixer.norm.weight * gated / (gated.square().mean() + 1e-5).sqrt())
        torch.testing.assert_close(y[0, t], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(new_state["memory"][0], torch.stack(memories), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_heads", [1, 4])
def test_decays_start_with_time_scales_up_to_the_longest(n_heads):
    mixer = Mamba2Mixer(Mamba2Settings(d_model=8, n_heads=n_heads, d_head=8, max_timescale=50))
    timescales = -1 / torch.log1p(-mixer.gates(torch.zeros(1, 1, 8), {}, None, None)["1 − α"].flatten())
    torch.testing.assert_close(timescales[0], torch.tensor(50.0), rtol=1e-3, atol=0)
    if n_heads > 1:
        torch.testing.assert_close(timescales[-1], torch.tensor(2.0), rtol=1e-3, atol=0)


def test_the_state_at_the_default_size():
    assert Mamba2Settings().build(input_dim=3).state_size == 4 * (4 * 64 * 64 + 3 * (2 * 64 + 4 * 64))


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
        build_model("mamba2", input_dim=3, **settings)
