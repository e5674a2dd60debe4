"""The models that are compared, at the size that AGaLiTe's paper uses for 3D pixel worlds."""

from __future__ import annotations

from itertools import count
from typing import Any

import torch

from benchmarks.models.gtrxl_acting import recomputing
from benchmarks.plain import PLAIN
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.gtrxl import GTrXLSettings
from rllib_recattn.models.registry import build_model

INPUT_DIM = 128
PAPER = {"d_model": 128, "n_layers": 4, "n_heads": 4, "d_head": 64}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "AGaLiTe": ("agalite", {**PAPER, "eta": 4, "r": 2, **PLAIN}),
    "GTrXL, M = 64": ("gtrxl", {**PAPER, "memory_length": 64}),
    "GTrXL, M = 128": ("gtrxl", {**PAPER, "memory_length": 128}),
    "GTrXL, M = 256": ("gtrxl", {**PAPER, "memory_length": 256}),
    "GTrXL, M = 128, keys recomputed": ("gtrxl", {**PAPER, "memory_length": 128}),
    "GLA": ("gla", {**PAPER, "conv_size": 0}),
    "HGRN2": ("hgrn2", PAPER),
    "RATE": ("rate", PAPER),
    "GaLiTe": ("galite", {**PAPER, "eta": 4}),
    "LSTM": ("lstm", {"n_layers": 1}),
    "GRU": ("gru", {"n_layers": 1}),
}


def build(label: str, **changes: Any) -> SequenceModel:
    """Build a model of `MODELS`; LSTM and GRU get AGaLiTe's number of parameters."""
    torch.manual_seed(0)
    name, settings = MODELS[label]
    if name in ("lstm", "gru"):
        settings = {**settings, "d_model": _width(4 if name == "lstm" else 3, n_parameters(build("AGaLiTe")))}
    if label.endswith("keys recomputed"):
        return recomputing(GTrXLSettings(**settings), INPUT_DIM)
    return build_model(name, input_dim=INPUT_DIM, **{**settings, **changes})


def n_parameters(model: SequenceModel) -> int:
    """Return the number of a model's parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def _width(n_gates: int, n_wanted: int) -> int:
    return next(w for w in count(1) if n_gates * w * (INPUT_DIM + w + 2) >= n_wanted)
