"""Small models of every kind in the catalog, for tests that hold for all of them."""

from typing import Any

import pytest
import torch

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.registry import build_model, model_names, settings_of

INPUT_DIM = 5
SMALL: dict[str, Any] = {
    "d_model": 12,
    "n_layers": 2,
    "n_heads": 2,
    "d_head": 4,
    # Short enough for the contract's 11 steps to cross segments and windows.
    "segment_length": 3,
    "n_memory_tokens": 2,
    "memory_length": 4,
    "models": [
        {"name": "gru", "d_model": 7},
        {"name": "agalite", "d_model": 12, "n_layers": 1, "n_heads": 2, "d_head": 4},
    ],
}


def small_model(name: str) -> SequenceModel:
    torch.manual_seed(0)
    sizes = {key: value for key, value in SMALL.items() if key in settings_of(name).model_fields}
    return build_model(name, input_dim=INPUT_DIM, **sizes)


@pytest.fixture(params=model_names())
def model(request: pytest.FixtureRequest) -> SequenceModel:
    """A small model in float64."""
    return small_model(request.param).double()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)
