"""The linear transformer against vectors of flash-linear-attention, and its equations written out."""

import pytest
import torch
from torch import nn

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.linear_attention import LinearAttention, LinearTransformerSettings, linear_attention
from rllib_recattn.models.registry import build_model
from tests.models.memory_vectors import assert_agree, in_pieces, load


@pytest.mark.another_implementation("linear_attention")
@pytest.mark.parametrize("split", [17, 5, 1])
def test_outputs_states_and_gradients_are_those_of_flash_linear_attention(split):
    vectors = load("linear_attention_normalised")
    steps, memory = [vectors[key] for key in ("q", "k", "v")], vectors["state_in"]
    output, memory, _ = in_pieces(linear_attention, steps, (memory, torch.zeros_like(memory[..., 0])), split)
    assert_agree(vectors, output, {"state_out": memory})


@pytest.mark.parametrize("steps", [1, 40])
def test_a_layer_is_its_equations_written_out(steps, generator):
    torch.manual_seed(0)
    mixer = LinearAttention(LinearTransformerSettings(d_model=6, n_heads=2, d_head=4, d_key=3)).double()
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.5)
    h = torch.randn(1, steps, 6, generator=generator, dtype=torch.float64)
    state = {
        part: torch.rand(1, *shape, generator=generator, dtype=torch.float64)
        for part, shape in mixer.state_parts.items()
    }
    is_first = (torch.arange(steps) == steps // 2).unsqueeze(0) if steps > 1 else None
    y, new_state = mixer(h, state, is_first, None)

    weights, biases = (x.split([6, 6, 8]) for x in (mixer.project.weight, mixer.project.bias))
    memory, keys = state["memory"][0], state["keys"][0]
    for t in range(steps):
        if is_first is not None and is_first[0, t]:
            memory, keys = torch.zeros_like(memory), torch.zeros_like(keys)
        q, k, v = (w @ h[0, t] + b for w, b in zip(weights, biases, strict=True))
        q, k = (nn.functional.elu(x.view(2, 3)) + 1 for x in (q, k))
        memory = memory + k.unsqueeze(-1) * v.view(2, 1, 4)
        keys = keys + k
        o = torch.stack([memory[i].T @ q[i] / (keys[i] @ q[i] + 1e-10) for i in range(2)])
        expected = mixer.output.weight @ o.flatten() + mixer.output.bias
        torch.testing.assert_close(y[0, t], expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(new_state["memory"][0], memory, rtol=0, atol=1e-12)
    torch.testing.assert_close(new_state["keys"][0], keys, rtol=0, atol=1e-12)


def constant(bias: float) -> LinearAttention:
    """One head whose keys are φ(bias), and whose values and outputs are two of its inputs."""
    mixer = LinearAttention(LinearTransformerSettings(d_model=4, n_heads=1, d_head=2, d_key=1))
    with torch.no_grad():
        mixer.project.weight.zero_()[2:] = torch.eye(4)[:2]
        mixer.project.bias[:2] = bias
        mixer.output.weight.copy_(torch.eye(4)[:, :2])
    return mixer


def test_gates_are_the_share_of_what_is_read_that_a_step_replaces(generator):
    torch.manual_seed(0)
    mixer = LinearAttention(LinearTransformerSettings(d_model=6, n_heads=2, d_head=4, d_key=3)).double()
    h = torch.randn(1, 8, 6, generator=generator, dtype=torch.float64)
    state = {part: torch.rand(1, *shape, dtype=torch.float64) for part, shape in mixer.state_parts.items()}
    is_first = (torch.arange(8) == 5).unsqueeze(0)
    share = mixer.gates(h, state, is_first, None)["k / z"]
    value = mixer.project(h)[..., 12:].unflatten(-1, (2, 4))
    for t in range(8):
        before = state["memory"] / state["keys"].unsqueeze(-1)
        if t == 5:
            before = torch.zeros_like(before)
        _, state = mixer(h[:, t : t + 1], state, is_first[:, t : t + 1], None)
        gate = share[:, t].unsqueeze(-1)
        expected = (1 - gate) * before + gate * value[:, t].unsqueeze(-2)
        torch.testing.assert_close(state["memory"] / state["keys"].unsqueeze(-1), expected, rtol=0, atol=1e-8)


EMPTY = {"memory": torch.zeros(1, 1, 1, 2), "keys": torch.zeros(1, 1, 1)}


def test_what_is_read_of_equal_keys_is_the_mean_of_an_episode(generator):
    h = torch.randn(1, 2000, 4, generator=generator) + 3
    y, _ = constant(-2.0)(h, EMPTY, torch.arange(2000).unsqueeze(0) == 1200, None)
    for episode in (slice(0, 1200), slice(1200, 2000)):
        values = h[0, episode, :2].double()
        means = values.cumsum(dim=0) / torch.arange(1, len(values) + 1).unsqueeze(-1)
        torch.testing.assert_close(y[0, episode, :2].double(), means, rtol=1e-4, atol=0)


@pytest.mark.parametrize("bias", [-40.0, -20.0, -1.0, 0.0, 3.0])
def test_small_features_keep_their_digits(bias):
    """elu(x) + 1 is 0 in float32 from x = −17 on."""
    _, state = constant(bias)(torch.zeros(1, 1, 4), EMPTY, None, None)
    expected = torch.tensor(bias).exp() if bias < 0 else torch.tensor(bias + 1)
    torch.testing.assert_close(state["keys"].squeeze(), expected, rtol=1e-6, atol=0)


def test_the_defaults():
    model = LinearTransformerSettings().build(input_dim=3)
    assert model.state_size == 4 * 4 * 64 * (64 + 1)
    assert LinearTransformerSettings().conv_size == 0


def test_wrong_settings_are_refused():
    with pytest.raises(SettingsError, match=r"d_key = 0: .*greater than 0"):
        build_model("linear_attention", input_dim=3, d_key=0)
