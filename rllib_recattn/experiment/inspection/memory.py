"""What the memory of an agent does during an episode: its gates, its attention, the size of its state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ray.rllib.core.models.base import ACTOR
from torch import Tensor

from rllib_recattn.experiment.inspection.replay import Replay
from rllib_recattn.experiment.inspection.sensitivity import OutputName
from rllib_recattn.models.base import SequenceModel
from rllib_recattn.models.diagnostics import convolution_taps, gru_gate_updates, tracing

BLOCK_GATE = "u"
"""The gates between blocks, beside those of memories."""

_MAX_ROWS = 16
_MAX_GROUPS = 8


@dataclass(frozen=True)
class Gates:
    """Gates of one kind.

    Attributes:
        name: Such as "γ".
        heads: Whose they are, such as "layer 1, head 2".
        values: In [0, 1], [heads, G, T]. Of memories: the share that a step forgets, the mean over each of G groups of
            a head's features, from those that forget least to those that forget most. Of "u", with G = 1: the share
            of a block's output that comes from its sublayer.
    """

    name: str
    heads: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class MemoryTrace:
    """A memory through an episode of T steps.

    Attributes:
        gates: By kind.
        attention: A layer → probabilities of each step and of the P − 1 before it, the newest first [T, H, P].
        state_norms: (a layer, a part of its state) → its Euclidean norm after each step [T].
        taps: A layer → how much its short convolution reads of the step itself and of the W − 1 before it, the mean of
            the weights' magnitudes [W]. Without layers that have none.
    """

    gates: tuple[Gates, ...]
    attention: dict[str, np.ndarray]
    state_norms: dict[tuple[str, str], np.ndarray]
    taps: dict[str, np.ndarray]


def trace_memory(replay: Replay, of: OutputName) -> MemoryTrace:
    """Read the episode once more, and look on.

    Args:
        replay: The episode.
        of: Where actions and values have models of their own, whose to look at.
    """
    with tracing(replay.module) as trace:
        replay.read()
    updates = {(name, BLOCK_GATE): update.unsqueeze(2) for name, update in gru_gate_updates(replay.module).items()}
    heads_of: dict[str, dict[str, Tensor]] = {}
    for (module, gate), values in (trace.gates | updates).items():
        if _is_of(module, of):
            heads_of.setdefault(gate, {}).update(_heads(module, values[0].flatten(2)))
    attention = {
        layer_label(module): values[0].numpy(force=True)
        for module, values in trace.attention.items()
        if _is_of(module, of)
    }
    return MemoryTrace(
        tuple(_in_groups(gate, heads) for gate, heads in heads_of.items()),
        attention,
        _state_norms(replay, of),
        {
            layer_label(module): taps.numpy(force=True)
            for module, taps in convolution_taps(replay.module).items()
            if _is_of(module, of)
        },
    )


def layer_label(module: str) -> str:
    """Write the name of a module within a model for people, counting layers from 1."""
    parts = [f"{kind} {int(index) + 1}" for kind, index in re.findall(r"\b(model|layer)s\.(\d+)", module)]
    if module.endswith(("mixer_gate", "feedforward_gate")):
        parts.append("memory" if module.endswith("mixer_gate") else "feed-forward")
    return ", ".join(parts) or "model"


def _heads(module: str, values: Tensor) -> dict[str, Tensor]:
    """Name the heads [T, D] of gates [T, H, D]."""
    layer, heads = layer_label(module), values.unbind(1)
    return {f"{layer}, head {n + 1}" if len(heads) > 1 else layer: head for n, head in enumerate(heads)}


def _in_groups(gate: str, heads: Mapping[str, Tensor]) -> Gates:
    """Average over groups of features: a head may forget fast and slowly at once, and its mean would hide the slow."""
    n_groups = 1
    if gate != BLOCK_GATE:
        n_features = min(head.shape[-1] for head in heads.values())
        n_groups = max(1, min(_MAX_ROWS // len(heads), _MAX_GROUPS, n_features))
    values = []
    for head in heads.values():
        from_slow_to_fast = head[:, head.mean(0).argsort()]
        values.append(torch.stack([group.mean(-1) for group in from_slow_to_fast.tensor_split(n_groups, dim=-1)]))
    return Gates(gate, tuple(heads), torch.stack(values).numpy(force=True))


def _is_of(module: str, of: OutputName) -> bool:
    """Tell whether a module takes part in an output; a shared encoder's modules have neither word in their names."""
    other = "actor_encoder" if of == "value" else "critic_encoder"
    return other not in module


def _state_norms(replay: Replay, of: OutputName) -> dict[tuple[str, str], np.ndarray]:
    states = replay.recording.states
    if ACTOR in states:
        # The module that acts has no critic, and hands that one's state on as it was.
        states = states[ACTOR]
    models = [
        each
        for name, each in replay.module.named_modules()
        if isinstance(each, SequenceModel) and _is_of(name, "action")
    ]
    memories = models[0].memories(_only_leaf(states)) if models else _by_layer(states)
    return {
        (layer_label(name), name.rpartition(".")[2]): torch.linalg.vector_norm(part.flatten(1), dim=-1).numpy()
        for name, part in memories.items()
    }


def _only_leaf(states: Mapping[str, Tensor]) -> Tensor:
    (state,) = states.values()
    return state


def _by_layer(states: Mapping[str, Any]) -> dict[str, Tensor]:
    """Name the parts [T, n_layers, D] of the states of RLlib's own LSTM."""
    return {
        f"layers.{layer}.{name}": values for name, part in states.items() for layer, values in enumerate(part.unbind(1))
    }
