"""GLA against vectors of the flash-linear-attention project's layer; see reference_vectors/README.md."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.models.gla import GLAAttention, GLASettings


@pytest.fixture
def vectors():
    with np.load(Path(__file__).parent / "reference_vectors" / "gla_layer.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture
def layer(vectors):
    settings = GLASettings(
        d_model=vectors["x"].shape[-1],
        n_heads=int(vectors["cfg/num_heads"]),
        d_head=int(vectors["cfg/head_v_dim"]),
        d_key=int(vectors["cfg/head_k_dim"]),
        gate_rank=len(vectors["param/gk_proj_0"]),
        gate_temperature=float(vectors["cfg/gate_logit_normalizer"]),
    )
    layer = GLAAttention(settings).double()
    projections = ("q_proj", "k_proj", "v_proj", "g_proj", "gk_proj_0")
    layer.load_state_dict(
        {
            "project.weight": torch.cat([vectors[f"param/{name}"] for name in projections]),
            "decay.weight": vectors["param/gk_proj_1"],
            "decay.bias": vectors["param/gk_bias"],
            "norm.weight": vectors["param/g_norm"],
            "output.weight": vectors["param/o_proj"],
        }
    )
    return layer


@pytest.mark.another_implementation("gla")
@pytest.mark.parametrize("split", [11, 4, 1])
def test_outputs_and_states(vectors, layer, split):
    assert layer.norm.eps == float(vectors["cfg/norm_eps"])
    state, outputs = {"memory": vectors["state_in"]}, []
    for x in vectors["x"].split(split, dim=1):
        y, state = layer(x, state, None, None)
        outputs.append(y)

    torch.testing.assert_close(torch.cat(outputs, dim=1), vectors["y"], rtol=0, atol=1e-9)
    torch.testing.assert_close(state["memory"], vectors["state_out"], rtol=0, atol=1e-9)


def test_the_defaults_but_for_the_convolution_are_the_published_ones():
    assert GLASettings().conv_size == 4
    model = GLASettings(conv_size=0).build(input_dim=3)
    attention = model.layers[0].mixer
    assert model.state_size == 4 * 4 * 32 * 64
    assert (attention.d_key, attention.temperature, attention.decay.in_features) == (32, 16, 16)
    # σ(0)^(1/16): at the start half is forgotten after 16 steps.
    torch.testing.assert_close(torch.sigmoid(attention.decay.bias) ** (16 / 16), torch.full((4 * 32,), 0.5))


@pytest.mark.parametrize(("d_head", "d_key", "expected"), [(64, None, 32), (1, None, 1), (8, 5, 5)])
def test_keys_are_half_as_wide_as_values_unless_told(d_head, d_key, expected):
    model = GLASettings(d_model=8, n_heads=2, d_head=d_head, d_key=d_key).build(input_dim=3)
    assert model.state_layout.parts["layers.0.memory"] == (2, expected, d_head)


def test_a_higher_temperature_forgets_less():
    def decay_of_an_impulse(temperature):
        torch.manual_seed(0)
        mixer = GLAAttention(GLASettings(d_model=8, n_heads=1, d_head=4, gate_temperature=temperature))
        memory = torch.ones(1, 1, 2, 4)
        return mixer(torch.zeros(1, 5, 8), {"memory": memory}, None, None)[1]["memory"]

    for temperature in (1.0, 16.0):
        expected = torch.full((1, 1, 2, 4), 0.5 ** (5 / temperature))
        torch.testing.assert_close(decay_of_an_impulse(temperature), expected)


@pytest.mark.parametrize("key", ["d_key", "gate_rank", "gate_temperature"])
def test_sizes_must_be_positive(key):
    with pytest.raises(SettingsError, match=rf"{key} = 0: .*greater than 0"):
        validate(GLASettings, {key: 0}, "model 'gla'")
