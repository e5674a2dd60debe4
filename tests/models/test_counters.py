"""Counts of steps in half precision."""

import pytest
import torch

from rllib_recattn.errors import SettingsError
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.hybrid import Hybrid
from rllib_recattn.models.parts.counters import largest_count
from rllib_recattn.models.registry import build_model, model_names
from tests.models.conftest import INPUT_DIM, choose_kernels, small_model

HALF = [torch.bfloat16, torch.float16]
SIZES = {"input_dim": INPUT_DIM, "d_model": 8, "n_layers": 1, "n_heads": 2, "d_head": 4}
# What counts as far as bfloat16 can, and, where the last number is larger, what counts one step too far.
LIMITS = {
    "agalite r": ("agalite", {"frequencies": "distinct", "r": 64}, {"frequencies": "distinct", "r": 65}),
    "published r": ("agalite", {"frequencies": "published", "r": 129}, {"frequencies": "published", "r": 130}),
    "long gtrxl": ("gtrxl", {"memory_length": 256}, {"memory_length": 257}),
    "long rate": ("rate", {"segment_length": 257}, {"segment_length": 258}),
}


def counts(model: SequenceModel, state: torch.Tensor) -> dict[str, list[float]]:
    """The counters of a state, of the models of a hybrid as well."""
    parts = model.state_layout.unpack(state)
    own = {name: parts[name].flatten().tolist() for name in model.state_layout.counters}
    if isinstance(model, Hybrid):
        for index, below in enumerate(model.models):
            own |= {f"{index}.{name}": value for name, value in counts(below, parts[f"models.{index}"]).items()}
    return own


def live(model: SequenceModel, dtype: torch.dtype) -> list[dict[str, list[float]]]:
    """Let three agents live for some 600 steps, in rows and a step at a time; return all counts on the way."""
    draw = torch.Generator().manual_seed(1)
    state, seen = model.initial_state(3), []
    with torch.no_grad():
        for n_steps in (1, 1, 250, 1, 1, 1, 1, 1, 1, 330, 1):
            x = torch.randn(3, n_steps, INPUT_DIM, generator=draw)
            is_first = (torch.arange(n_steps) == 5).expand(3, -1) & torch.tensor([[True], [False], [False]])
            y, state = model(x.to(dtype), state, is_first if n_steps > 1 else None)
            assert y.dtype == state.dtype == dtype
            assert torch.isfinite(y).all()
            assert torch.isfinite(state).all()
            seen.append(counts(model, state))
    return seen


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("name", [*model_names(), *LIMITS])
def test_half_precision_counts_as_single_does(monkeypatch, name, dtype):
    choose_kernels(False, monkeypatch)

    def build() -> SequenceModel:
        if name not in LIMITS:
            return small_model(name)
        torch.manual_seed(0)
        model, settings, _ = LIMITS[name]
        return build_model(model, **SIZES, **settings)

    assert live(build().to(dtype), dtype) == live(build(), torch.float32)


@pytest.mark.parametrize("name", LIMITS)
def test_what_cannot_count_refuses(name):
    model, fits, too_large = LIMITS[name]
    setting, value = list(too_large.items())[-1]
    message = (
        rf"{setting} = {value}: .* counts to \d+, and torch.bfloat16 only to 256: should be at most {fits[setting]},"
    )
    single = build_model(model, **SIZES, **too_large)
    x, state = torch.zeros(1, 2, INPUT_DIM), single.initial_state(1)
    single(x, state)
    build_model(model, **SIZES, **fits).bfloat16()
    single.half()
    for refused in (lambda: single.bfloat16(), lambda: single(x, state.bfloat16())):
        with pytest.raises(SettingsError, match=message):
            refused()


def test_cosines_do_not_depend_on_the_dtype_of_the_clock():
    model = build_model("agalite", **SIZES, r=64)
    exact = model.oscillation.cosines(model.oscillation.count(torch.tensor([[200.0]]), 300, None))
    half = model.oscillation.cosines(model.oscillation.count(torch.tensor([[200.0]]).bfloat16(), 300, None))
    torch.testing.assert_close(half, exact, rtol=0, atol=0)


def test_largest_count():
    for dtype in HALF:
        numbers = torch.arange(largest_count(dtype) + 2)
        assert (numbers[:-1] == numbers[:-1].to(dtype)).all()
        assert numbers[-1] != numbers[-1].to(dtype).long()
