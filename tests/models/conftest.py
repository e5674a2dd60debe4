"""Small models of every kind in the catalog, for tests that hold for all of them."""

from typing import Any

import pytest
import torch

from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.kernels import library
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
    # Long enough for the contract's later steps to see its first ones.
    "n_frames": 7,
    "models": [
        {"name": "gru", "d_model": 7},
        {"name": "agalite", "d_model": 12, "n_layers": 1, "n_heads": 2, "d_head": 4},
    ],
}


def small_model(name: str) -> SequenceModel:
    torch.manual_seed(0)
    sizes = {key: value for key, value in SMALL.items() if key in settings_of(name).model_fields}
    return build_model(name, input_dim=INPUT_DIM, **sizes)


def choose_kernels(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have models use the kernels in C++, or PyTorch's operations alone."""
    if not wanted:
        monkeypatch.setattr(library, "kernels", lambda: None)
    elif library.kernels() is None:
        pytest.fail(f"there are no kernels: {library.why_none()}")


BY_KERNELS = " by kernels"  # of which GTrXL stands for all that have only gates, mLSTM for outer-product memories
WITH_KERNELS = [f"{name}{BY_KERNELS}" for name in ("agalite", "gtrxl", "mlstm", "gated_delta_net")]


@pytest.fixture(params=[*model_names(), *WITH_KERNELS])
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SequenceModel:
    """A small model in float64."""
    choose_kernels(request.param.endswith(BY_KERNELS), monkeypatch)
    return small_model(request.param.removesuffix(BY_KERNELS)).double()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)
