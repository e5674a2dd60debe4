"""Blocks with and without gates and feed-forward parts."""

import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.registry import build_model

SIZES = {"input_dim": 5, "d_model": 12, "n_layers": 2, "n_heads": 2, "d_head": 4}


def names_of(**settings):
    return {
        name.split(".", 2)[2]
        for name, _ in build_model("agalite", **SIZES, **settings).layers.named_parameters("layers")
    }


def test_a_block_without_gates_adds_and_the_sum_is_normalised():
    model = build_model("agalite", **SIZES, residual="sum", conv_size=0)
    block = model.layers[0]
    x = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(0))
    state = model.state_layout.unpack(model.initial_state(2))
    parts = {part: state[f"layers.0.{part}"] for part in block.mixer.state_parts}
    context, _ = model.context(state, 3, None)

    y, _ = block(x, parts, None, context)

    mixed, _ = block.mixer(block.mixer_norm(x), parts, None, context)
    torch.testing.assert_close(y, x + mixed + block.feedforward(x + mixed))
    assert not any("gate." in name for name in names_of(residual="sum", output_gate=False))
    output, _ = model(100 * torch.randn(2, 50, 5), model.initial_state(2))
    torch.testing.assert_close(output.mean(-1), torch.zeros(2, 50), rtol=0, atol=1e-5)


def test_a_block_without_feedforward_has_no_weights_for_it():
    with_it, without = names_of(), names_of(feedforward=False)
    assert without < with_it
    assert all(name.startswith("feedforward") for name in with_it - without)


@pytest.mark.parametrize(
    "settings", [{"residual": "sum"}, {"feedforward": False}, {"residual": "sum", "feedforward": False}]
)
def test_any_split_gives_the_same_for_other_blocks(settings):
    model = build_model("agalite", **SIZES, **settings).double()
    x = torch.randn(2, 7, 5, dtype=torch.float64)
    y, state_out = model(x, model.initial_state(2))
    first, state = model(x[:, :3], model.initial_state(2))
    second, state = model(x[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), y, rtol=0, atol=1e-10)
    torch.testing.assert_close(state, state_out, rtol=0, atol=1e-10)


def test_an_unknown_residual_is_refused():
    with pytest.raises(SettingsError, match=r"residual = 'add': .*'gated' or 'sum'"):
        build_model("agalite", **SIZES, residual="add")
