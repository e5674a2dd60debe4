"""The contract of models over all of their settings; test_contract.py asks more, of the defaults alone."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.registry import model_names, settings_of
from tests.models.conftest import BY_KERNELS, choose_kernels
from tests.models.test_contract import gradients, run_split
from tests.models.variants import all_variants, domains, marked, shaken, variants_of

STEPS = 12
# Rows with starts behind other steps, one behind another, at both ends, and none.
STARTS = [(3,), (0, 4, 5, 8), (1, 11), ()]


def _cases() -> list:
    variants = [(*each, "") for each in marked(all_variants())]
    variants += [(*each, BY_KERNELS) for each in marked(variants_of("agalite"))]
    return [
        pytest.param(variant, bool(kernels), id=f"{variant[0]}{kernels} {index}", marks=marks)
        for index, (variant, marks, kernels) in enumerate(variants)
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "variant" in metafunc.fixturenames:
        metafunc.parametrize(("variant", "kernels"), _cases())


@pytest.fixture
def model(variant, kernels, monkeypatch) -> SequenceModel:
    """A small model in float64 that is not at its start."""
    choose_kernels(kernels, monkeypatch)
    print(variant)  # which pytest shows when a test fails
    return shaken(variant)


@pytest.fixture
def row(model, generator) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, the state of agents that have lived for some steps, and where episodes begin."""
    x = torch.randn(len(STARTS), STEPS, model.input_dim, generator=generator, dtype=torch.float64)
    is_first = torch.tensor([[t in starts for t in range(STEPS)] for starts in STARTS])
    history = torch.randn(len(STARTS), 5, model.input_dim, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        _, state = model(history, model.initial_state(len(STARTS)))
    return x, state, is_first


def episodes_apart(model: SequenceModel, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Read each episode by itself, all but those that are under way from the initial state."""
    outputs, states = [], []
    for index, starts in enumerate(STARTS):
        own, pieces = state[index : index + 1], []
        for begin, end in pairwise(sorted({0, *starts, STEPS})):
            if begin in starts:
                own = model.initial_state(1)
            y, own = model(x[index : index + 1, begin:end], own)
            pieces.append(y)
        outputs.append(torch.cat(pieces, dim=1))
        states.append(own)
    return torch.cat(outputs), torch.cat(states)


def act(model: SequenceModel, x: Tensor, state: Tensor, is_first: Tensor) -> tuple[Tensor, Tensor]:
    """Read one step at a time without gradients."""
    with torch.no_grad():
        return run_split(model, x, state, [1] * STEPS, is_first)


def test_what_starts_an_episode_in_acting_starts_it_in_a_row(model, row):
    x, state, is_first = row
    expected = episodes_apart(model, x, state)
    for actual in (model(x, state, is_first), act(model, x, state, is_first)):
        for tensor, value in zip(actual, expected, strict=True):
            # Norms of few features divide by what may be close to 0.
            torch.testing.assert_close(tensor, value, rtol=1e-8, atol=1e-9)


def test_any_split_gives_the_same_with_its_gradients(model, row):
    whole = [*run_split(model, *row[:2], [STEPS], row[2]), *gradients(model, *row[:2], [STEPS], row[2])]
    split = [*run_split(model, *row[:2], [1, 6, 5], row[2]), *gradients(model, *row[:2], [1, 6, 5], row[2])]
    for actual, expected in zip(split, whole, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-9)


def test_what_is_not_finite_stays_where_it_belongs(model, row):
    x, state, is_first = row
    spoilt, spoilt_state = x.clone(), state.clone()
    spoilt[0, 1] = spoilt[3, 7, 0] = math.nan
    spoilt_state[2] = -math.inf
    kept = torch.ones_like(is_first)
    kept[0, 1:3] = kept[2, :1] = kept[3, 7:] = False

    def outputs_and_gradients(x: Tensor, state: Tensor) -> list[Tensor]:
        y = model(x, state, is_first)[0][kept]
        return [y, *torch.autograd.grad(y.square().sum(), list(model.parameters()), materialize_grads=True)]

    expected = outputs_and_gradients(x, state)
    for actual, clean in zip(outputs_and_gradients(spoilt, spoilt_state), expected, strict=True):
        torch.testing.assert_close(actual, clean, rtol=1e-8, atol=1e-9)
    acted, _ = act(model, spoilt, spoilt_state, is_first)
    torch.testing.assert_close(acted[kept], expected[0], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", model_names())
def test_every_setting_of_a_model_has_several_values_here(name):
    seen = variants_of(name)
    for setting, values in domains(settings_of(name)).items():
        assert len(values) > 1, setting
        for value in values:
            assert any(settings[setting] == value for _, settings in seen), (setting, value)
