"""DeltaNet, Gated DeltaNet and KDA around the delta rule, whose own tests are in test_delta_rule.py."""

import pytest
import torch
from torch import nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.delta_net import DeltaAttention, DeltaNetSettings
from rllib_recattn.models.registry import build_model, settings_of

NAMES = {"delta_net": "none", "gated_delta_net": "head", "kda": "feature"}


def small(**settings) -> DeltaAttention:
    torch.manual_seed(0)
    sizes = {"d_model": 6, "n_heads": 2, "d_head": 4, "d_key": 3}
    mixer = DeltaAttention(DeltaNetSettings(**{**sizes, **settings})).double()
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return mixer


@pytest.mark.parametrize("decay", NAMES.values())
@pytest.mark.parametrize("conv_size", [0, 3])
def test_a_layer_is_its_equations_written_out(decay, conv_size, generator):
    mixer, steps = small(decay=decay, conv_size=conv_size), 5
    h = torch.randn(1, steps, 6, generator=generator, dtype=torch.float64)
    state = {
        part: torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        for part, shape in mixer.state_parts.items()
    }
    y, new_state = mixer(h, state, None, None)

    w_q, w_k, w_v, w_g, w_beta, w_alpha = mixer.project.weight.split([6, 6, 8, 8, 2, mixer.project.out_features - 30])
    features = torch.cat([h[0] @ w.T for w in (w_q, w_k, w_v)], dim=-1)
    past = [*state["recent"][0].flip(0), *features] if conv_size else list(features)
    memory = state["memory"][0]
    for t in range(steps):
        x = features[t]
        if conv_size:
            x = sum(mixer.convolution.weight[i] * past[t + conv_size - 1 - i] for i in range(conv_size))
        q, k, v = ((part * torch.sigmoid(part)).view(2, -1) for part in x.split([6, 6, 8]))
        q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
        beta, heads, memories = torch.sigmoid(w_beta @ h[0, t]), [], []
        for head in range(2):
            s = memory[head]
            if decay == "head":
                speed = torch.log1p(torch.exp(w_alpha[head] @ h[0, t] + mixer.decay_bias[head]))
                s = s * torch.exp(-mixer.decay_rate[head].exp() * speed)
            elif decay == "feature":
                logits = mixer.decay_features.weight @ (w_alpha @ h[0, t]) + mixer.decay_bias
                speed = torch.log1p(torch.exp(logits.view(2, -1)[head]))
                s = s * torch.exp(-mixer.decay_rate[head].exp() * speed).unsqueeze(1)
            s = s + beta[head] * torch.outer(k[head], v[head] - s.T @ k[head])
            o = s.T @ q[head] / 3**0.5
            heads.append(mixer.norm.weight * o / (o.square().mean() + 1e-5).sqrt())
            memories.append(s)
        memory, gate = torch.stack(memories), w_g @ h[0, t]
        expected = mixer.output.weight @ (torch.cat(heads) * gate * torch.sigmoid(gate))
        torch.testing.assert_close(y[0, t], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(new_state["memory"][0], memory, rtol=0, atol=1e-12)
    if conv_size:
        torch.testing.assert_close(new_state["recent"][0], features[-conv_size + 1 :].flip(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "decay"), NAMES.items())
def test_the_names_are_the_same_model_with_another_default(name, decay):
    assert settings_of(name)().decay == decay
    torch.manual_seed(0)
    named = build_model(name, input_dim=3, d_model=8, n_layers=1)
    torch.manual_seed(0)
    told = build_model("delta_net", input_dim=3, d_model=8, n_layers=1, decay=decay)
    assert named.state_layout.parts == told.state_layout.parts
    for key, value in named.state_dict().items():
        torch.testing.assert_close(value, told.state_dict()[key], rtol=0, atol=0)


@pytest.mark.parametrize(("decay", "n_heads"), [("head", 1), ("head", 4), ("feature", 2)])
def test_decays_start_with_time_scales_up_to_the_longest(decay, n_heads):
    mixer = DeltaAttention(DeltaNetSettings(d_model=8, n_heads=n_heads, d_head=8, decay=decay, max_timescale=50))
    forgotten = mixer.gates(torch.zeros(1, 1, 8), {}, None, None)["1 − α"].flatten()
    timescales = -1 / torch.log1p(-forgotten)
    torch.testing.assert_close(timescales.max(), torch.tensor(50.0), rtol=1e-3, atol=0)
    if decay == "feature" or n_heads > 1:
        torch.testing.assert_close(timescales.min(), torch.tensor(2.0), rtol=1e-3, atol=0)


def test_the_state_at_the_default_size():
    assert DeltaNetSettings().build(input_dim=3).state_size == 4 * 4 * (32 * 64 + 3 * (2 * 32 + 64))


def test_an_input_of_zeros_has_gradients_that_are_not_huge():
    mixer = small(conv_size=4)
    h = torch.zeros(1, 3, 6, dtype=torch.float64, requires_grad=True)
    state = {part: torch.zeros(1, *shape, dtype=torch.float64) for part, shape in mixer.state_parts.items()}
    mixer(h, state, None, None)[1]["memory"].sum().backward()
    assert h.grad.abs().max() < 1e4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": "heads"}, r"decay = 'heads': .*'none', 'head' or 'feature'"),
        ({"conv_size": -1}, r"conv_size = -1: .*greater than or equal to 0"),
        ({"d_key": 0}, r"d_key = 0: .*greater than 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        build_model("delta_net", input_dim=3, **settings)
