"""Rotation of keys and queries against clocks that run through, and complex memories."""

import math

import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.parts.delta_rule import delta_rule
from rllib_recattn.models.parts.gated_linear_attention import gated_linear_attention
from rllib_recattn.models.parts.rotation import rotate, rotated
from rllib_recattn.models.registry import build_model, model_names, settings_of

ROWS, HEADS, KEYS, VALUES = 2, 3, 6, 5
ANGLES = 2 * math.pi / torch.tensor([4.0, 32.0, 256.0], dtype=torch.float64)
NAMES = [name for name in model_names() if "rotary" in settings_of(name).model_fields]


def operands(steps, decays, with_beta=False):
    """Query, key, value, decays of heads or of pairs of features, and the memory before the first step."""
    generator = torch.Generator().manual_seed(steps)

    def randn(*shape):
        return torch.randn(ROWS, *shape, generator=generator, dtype=torch.float64)

    query, key = (torch.nn.functional.normalize(randn(steps, HEADS, KEYS), dim=-1) for _ in range(2))
    decay = torch.sigmoid(randn(steps, HEADS, 1 if decays == "head" else KEYS // 2) + 2)
    decay = decay if decays == "head" else torch.cat([decay, decay], dim=-1)
    beta = [torch.sigmoid(randn(steps, HEADS))] if with_beta else []
    return [query, key, randn(steps, HEADS, VALUES), *beta, decay, randn(HEADS, KEYS, VALUES)]


def firsts(steps):
    return torch.rand(ROWS, steps, generator=torch.Generator().manual_seed(1)) < 0.1


@pytest.mark.parametrize("decays", ["head", "pair"])
@pytest.mark.parametrize("steps", [1, 2, 40])
def test_it_is_a_complex_memory_that_turns_as_it_decays(steps, decays):
    query, key, value, decay, initial = operands(steps, decays)
    is_first = firsts(steps)
    output, memory = rotated(gated_linear_attention, query, key, value, decay, initial, is_first)

    def as_complex(x):
        return torch.complex(*x.chunk(2, dim=-1))

    turned = as_complex(initial.mT)  # [B, H, V, K/2]
    for t in range(steps):
        kept = decay[:, t, :, None, : KEYS // 2] * ~is_first[:, t, None, None, None]
        turned = kept * torch.exp(-1j * ANGLES) * turned
        turned = turned + value[:, t].unsqueeze(-1) * as_complex(key[:, t]).unsqueeze(-2)
        read = (turned * as_complex(query[:, t]).conj().unsqueeze(-2)).real.sum(-1)
        torch.testing.assert_close(output[:, t], read, rtol=0, atol=1e-12)
    torch.testing.assert_close(as_complex(memory.mT), turned, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("form", "with_beta"), [(gated_linear_attention, False), (delta_rule, True)])
def test_it_is_what_a_clock_that_runs_through_gives(form, with_beta):
    """RoFormer's angles grow from the beginning of an episode; from an empty memory nothing else is different."""
    steps = 50
    query, key, *others, initial = operands(steps, "head", with_beta)
    clock = torch.arange(7, 7 + steps)
    turned = [rotate(x.transpose(1, 2), clock).transpose(1, 2) for x in (query, key)]
    expected, _ = form(*turned, *others, torch.zeros_like(initial), None)
    memory, outputs = torch.zeros_like(initial), []
    for piece in zip(*(x.split(13, dim=1) for x in (query, key, *others)), strict=True):
        output, memory = rotated(form, *piece, memory, None)
        outputs.append(output)
    torch.testing.assert_close(torch.cat(outputs, dim=1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("form", "with_beta"), [(gated_linear_attention, False), (delta_rule, True)])
@pytest.mark.parametrize("decays", ["head", "pair"])
def test_steps_and_chunks_are_the_same_with_their_gradients(form, with_beta, decays):
    tensors = [x.requires_grad_() for x in operands(40, decays, with_beta)]
    *steps, initial = tensors
    results = []
    for length in (40, 33, 1):
        memory, outputs = initial, []
        for *piece, is_first in zip(*(x.split(length, dim=1) for x in (*steps, firsts(40))), strict=True):
            output, memory = rotated(form, *piece, memory, is_first)
            outputs.append(output)
        output = torch.cat(outputs, dim=1)
        gradients = list(torch.autograd.grad(output.sin().sum() + memory.cos().sum(), tensors))
        if decays == "pair":  # whose features have one decay
            gradients[-2] = sum(gradients[-2].chunk(2, dim=-1))
        results.append([output, memory, *gradients])
    for other in results[1:]:
        for actual, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_a_million_steps_leave_the_angles_exact():
    x = torch.ones(1, 2)
    full_turns = rotate(x, torch.tensor([4 * 10**6, 4 * 10**6 + 1]))
    torch.testing.assert_close(full_turns, torch.tensor([[1.0, 1.0], [-1.0, 1.0]]), rtol=0, atol=1e-6)


def test_the_models_with_outer_products_have_it():
    assert set(NAMES) >= {"retnet", "gla", "mamba2", "delta_net", "gated_delta_net", "kda"}
    assert [name for name in NAMES if settings_of(name)().rotary] == ["retnet"]


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_turns_a_models_keys_as_they_age_and_nothing_else(name):
    torch.manual_seed(0)
    model = build_model(name, input_dim=3, d_model=8, n_layers=1, rotary=True)
    plain = build_model(name, input_dim=3, d_model=8, n_layers=1, rotary=False)
    assert model.state_layout.parts == plain.state_layout.parts
    paired = {"gla": ["decay"], "kda": ["decay_features", "decay_bias"]}.get(name, [])
    weights = model.state_dict()
    for key in [key for key in weights if key.split(".")[3:4] and key.split(".")[3] in paired]:
        pairs = weights[key].unflatten(0, (4, -1))  # of each head
        weights[key] = torch.cat([pairs, pairs], dim=1).flatten(0, 1)
    plain.load_state_dict(weights)
    x = torch.randn(1, 6, 3)
    (y, _), (expected, _) = (each(x, each.initial_state(1)) for each in (model, plain))
    torch.testing.assert_close(y[:, 0], expected[:, 0])  # of a key that is new
    assert (y - expected)[:, 1:].abs().max() > 1e-3


@pytest.mark.parametrize("name", ["gla", "kda"])
def test_both_features_of_a_pair_decay_alike(name):
    torch.manual_seed(0)
    mixer = build_model(name, input_dim=3, d_model=8, n_layers=1, rotary=True).layers[0].mixer
    forgotten = mixer.gates(torch.randn(2, 5, 8), {}, None, None)["1 − α"]
    assert forgotten.shape == (2, 5, 4, 32)
    left, right = forgotten.chunk(2, dim=-1)
    torch.testing.assert_close(left, right, rtol=0, atol=0)
    assert (left.amax(dim=-1) > left.amin(dim=-1)).all()


@pytest.mark.parametrize(("name", "settings"), [(name, {"d_key": 3}) for name in NAMES] + [("retnet", {"d_head": 2})])
def test_keys_that_are_no_pairs_are_refused(name, settings):
    with pytest.raises(SettingsError, match=r"rotary = True: rotates pairs of features, .* d_key should be even"):
        build_model(name, input_dim=3, rotary=True, **settings)
    build_model(name, input_dim=3, rotary=False, **settings)
