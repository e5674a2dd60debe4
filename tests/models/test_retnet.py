"""RetNet against vectors of flash-linear-attention, and its equations written out."""

import pytest
import torch
from torch import nn

from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.retnet import Retention, RetNetSettings, retention_decays
from tests.models.memory_vectors import assert_agree, in_pieces, load


@pytest.mark.another_implementation("retnet")
@pytest.mark.parametrize("split", [17, 5, 1])
def test_outputs_and_gradients_are_those_of_flash_linear_attention(split):
    vectors = load("retention")
    rows, steps, heads, keys = vectors["q"].shape
    decay = retention_decays(heads).double().view(1, 1, heads, 1).expand(rows, steps, -1, -1)
    memory = vectors.get("state_in", decay.new_zeros(rows, heads, keys, vectors["v"].shape[-1]))
    operands = [vectors["q"] * keys**-0.5, vectors["k"], vectors["v"], decay]
    output, memory = in_pieces(gated_linear_attention, operands, [memory], split)
    assert_agree(vectors, output, {"state_out": memory})


@pytest.mark.parametrize("rotary", [False, True])
def test_a_layer_is_its_equations_written_out(rotary, generator):
    torch.manual_seed(0)
    mixer, steps = Retention(RetNetSettings(d_model=6, n_heads=2, d_head=5, d_key=2, rotary=rotary)).double(), 40
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.5)
    h = torch.randn(1, steps, 6, generator=generator, dtype=torch.float64)
    memory = torch.randn(1, 2, 2, 5, generator=generator, dtype=torch.float64)
    y, new_state = mixer(h, {"memory": memory}, (torch.arange(steps) == 30).unsqueeze(0), None)

    w_q, w_k, w_v, w_g = mixer.project.weight.split([4, 4, 10, 10])
    quarter = torch.tensor([[0.0, 1.0], [-1.0, 0.0]]).double()  # of a turn backwards: 4 steps are a period
    memories = list(memory[0])
    for t in range(steps):
        q, k, v = ((w @ h[0, t]).view(2, -1) for w in (w_q, w_k, w_v))
        heads = []
        for head, gamma in enumerate((1 - 1 / 32, 1 - 1 / 64)):
            turned = quarter @ memories[head] if rotary else memories[head]
            memories[head] = (gamma * turned if t != 30 else 0) + torch.outer(k[head], v[head])
            o = memories[head].T @ q[head] / 2**0.5
            heads.append((o - o.mean()) / (o.var(correction=0) + 1e-5).sqrt())
        gate = w_g @ h[0, t]
        expected = mixer.output.weight @ (torch.cat(heads) * gate * torch.sigmoid(gate))
        torch.testing.assert_close(y[0, t], expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(new_state["memory"][0], torch.stack(memories), rtol=0, atol=1e-12)


def test_gates_are_what_the_memory_loses():
    mixer = Retention(RetNetSettings(d_model=8, n_heads=3, d_head=4, rotary=False))
    forgotten = mixer.gates(torch.zeros(2, 5, 8), {}, None, None)["1 − γ"]
    assert forgotten.shape == (2, 5, 3, 1)
    memory = mixer(torch.zeros(2, 1, 8), {"memory": torch.ones(2, 3, 2, 4)}, None, None)[1]["memory"]
    torch.testing.assert_close(memory, (1 - forgotten[:, 0].unsqueeze(-1)).expand_as(memory))


def test_the_defaults():
    model = RetNetSettings().build(input_dim=3)
    assert model.state_size == 4 * 4 * 32 * 64
    assert (RetNetSettings().rotary, RetNetSettings().conv_size) == (True, 0)
    torch.testing.assert_close(retention_decays(4), 1 - torch.tensor([1 / 32, 1 / 64, 1 / 128, 1 / 256]))
    assert not [key for key in model.state_dict() if "decay" in key]
