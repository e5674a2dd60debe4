"""HGRN2 against vectors of the flash-linear-attention project's layer; see reference_vectors/README.md."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rllib_recattn.errors import SettingsError, validate
from rllib_recattn.models.hgrn2 import HGRN2, HGRN2Attention, HGRN2Settings

VECTORS = sorted((Path(__file__).parent / "reference_vectors").glob("hgrn2_*.npz"))


@pytest.fixture(params=VECTORS, ids=lambda path: path.stem)
def vectors(request):
    with np.load(request.param) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture
def layer(vectors):
    n_heads = int(vectors["cfg/num_heads"])
    settings = HGRN2Settings(
        d_model=vectors["x"].shape[-1],
        n_heads=n_heads,
        d_head=len(vectors["param/i_proj"]) // n_heads,
        d_key=int(vectors["cfg/expand_ratio"]),
    )
    layer = HGRN2Attention(settings, layer=0).double()
    layer.load_state_dict(
        {
            "project.weight": torch.cat([vectors[f"param/{name}"] for name in ("q_proj", "f_proj", "i_proj")]),
            "norm.weight": vectors["param/g_norm"],
            "output.weight": vectors["param/o_proj"],
        }
    )
    return layer


def test_there_are_vectors():
    assert len(VECTORS) == 2


@pytest.mark.another_implementation("hgrn2")
@pytest.mark.parametrize("split", [11, 4, 1])
def test_outputs_and_states(vectors, layer, split):
    assert layer.norm.eps == float(vectors["cfg/norm_eps"])
    bounds = vectors["lower_bound"].unflatten(-1, (layer.n_heads, layer.d_key)).unsqueeze(0)
    state, outputs = {"memory": vectors["state_in"]}, []
    for x in vectors["x"].split(split, dim=1):
        y, state = layer(x, state, None, bounds)
        outputs.append(y)

    torch.testing.assert_close(torch.cat(outputs, dim=1), vectors["y"], rtol=0, atol=1e-9)
    torch.testing.assert_close(state["memory"], vectors["state_out"], rtol=0, atol=1e-9)


def small(**settings) -> HGRN2:
    torch.manual_seed(0)
    return HGRN2Settings(**{"d_model": 8, "n_layers": 3, "n_heads": 2, "d_head": 4, **settings}).build(input_dim=5)


def bounds_of(model: HGRN2) -> torch.Tensor:
    return model.context({}, 1, None)[0]


def test_lower_bounds_start_at_zero_and_grow_with_every_layer():
    model = small()
    expected = torch.tensor([0, 1 / 3, 2 / 3])[:, None, None].expand(3, 2, 4)
    torch.testing.assert_close(bounds_of(model), expected)

    with torch.no_grad():
        model.bound_logits.normal_(std=3)
    bounds = bounds_of(model)
    assert (bounds[0] == 0).all()
    assert (bounds.diff(dim=0) > 0).all()
    assert (bounds < 1).all()
    assert bounds[1].unique().numel() == 2 * 4


def test_every_layer_forgets_within_its_own_bounds():
    model = small()
    with torch.no_grad():
        model.bound_logits.normal_(std=2)
        for layer in model.layers:
            # Values of 0 write nothing, so that the memory shows the forget gates alone.
            layer.mixer.project.weight[-layer.mixer.output.in_features :] = 0
            layer.mixer.project.weight[8:16] *= 1e6
    state = {name: torch.ones(50, *shape) for name, shape in model.state_layout.parts.items()}
    _, new_state = model.read(torch.randn(50, 1, 5), state, None)

    for layer, bounds in enumerate(bounds_of(model)):
        memory = new_state[f"layers.{layer}.memory"]
        # With such weights a gate is at its bound or wide open.
        torch.testing.assert_close(memory.amin(0), bounds[..., None].expand(2, 4, 4))
        torch.testing.assert_close(memory.amax(0), torch.ones(2, 4, 4))


def test_lower_bounds_are_learned():
    model = small()
    y, _ = model(torch.randn(2, 20, 5), model.initial_state(2))
    y.square().sum().backward()
    assert (model.bound_logits.grad.abs() > 0).all()


@pytest.mark.parametrize(("d_key", "expected"), [(None, 4), (3, 3)])
def test_keys_are_as_wide_as_values_unless_told(d_key, expected):
    model = small(d_key=d_key)
    assert model.state_layout.parts["layers.0.memory"] == (2, expected, 4)
    assert model.bound_logits.shape == (3, 2, expected)


def test_the_state_at_the_default_size():
    assert HGRN2Settings().build(input_dim=3).state_size == 4 * 4 * 64 * 64


def test_sizes_must_be_positive():
    with pytest.raises(SettingsError, match=r"d_key = 0: .*greater than 0"):
        validate(HGRN2Settings, {"d_key": 0}, "model 'hgrn2'")
