"""The contract of every model: a sequence model whose state has a constant size.

Shape suffixes: B rows of a batch, T steps, D features, S numbers of state.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.errors import Settings
from rllib_recattn.models.parts.containment import lose, lost_from, not_finite, without
from rllib_recattn.models.parts.counters import Counter
from rllib_recattn.models.parts.mixed_precision import autocast_changes


class StateLayout:
    """Names the parts of a recurrent state that travels as one packed tensor [B, S].

    RLlib's connectors pay for every leaf of a state, so a model hands out one leaf; inside the model the parts have
    their names and shapes back.

    Args:
        parts: The shape of each part, without the batch dimension, in the order in which they are packed; none, for a
            model that remembers nothing.
        counters: Those that count something, of one number each, and how far; None where any dtype will do.

    Attributes:
        parts: As given.
        counters: Likewise.
        size: S, the number of scalars in one row's state.
    """

    def __init__(self, parts: Mapping[str, tuple[int, ...]], counters: Mapping[str, Counter | None] | None = None):
        self.parts = dict(parts)
        self.counters = dict(counters or {})
        self._sizes = [math.prod(shape) for shape in self.parts.values()]
        self.size = sum(self._sizes)

    def unpack(self, state: Tensor) -> dict[str, Tensor]:
        """Split a packed state [B, S] into its named parts [B, *shape], as views."""
        if not self.parts:
            return {}  # graphs that are stored have no place for a split into nothing
        chunks = state.split(self._sizes, dim=-1)
        return {
            name: chunk.unflatten(-1, shape) for (name, shape), chunk in zip(self.parts.items(), chunks, strict=True)
        }

    def pack(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Join named parts [B, *shape] into one packed state [B, S]."""
        return torch.cat([parts[name].flatten(1) for name in self.parts], dim=-1)


class SequenceModel(nn.Module, ABC):
    """A model that reads a sequence and carries a state of constant size from step to step.

    One call over T steps, T calls of one step, and any split in between give the same outputs, the same final state
    and the same gradients. Rows of a batch never see each other, no step sees a later one, and no episode another, not
    even where inputs or states are not finite: a NaN or an infinity makes NaN of its step, of those that remember it,
    and of nothing else.

    Args:
        input_dim: D_in, features of each input step.
        output_dim: D, features of each output step.
        state_layout: The parts of the state.
    """

    def __init__(self, input_dim: int, output_dim: int, state_layout: StateLayout):
        super().__init__()
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.state_layout = state_layout

    @property
    def state_size(self) -> int:
        """S, the number of scalars in one row's state."""
        return self.state_layout.size

    def initial_state(self, batch_size: int) -> Tensor:
        """Return the state [batch_size, S] of an agent that has seen nothing: zeros, unless a model says otherwise."""
        return next(self.parameters()).new_zeros(batch_size, self.state_size)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SequenceModel:
        super()._apply(fn, recurse)
        for parameter in self.parameters():
            self._check_dtype(parameter.dtype)
            break
        return self

    def _check_dtype(self, dtype: torch.dtype) -> None:
        for counter in self.state_layout.counters.values():
            if counter is not None:
                counter.check(dtype)

    def forward(self, x: Tensor, state: Tensor, is_first: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Read T steps.

        Args:
            x: Inputs [B, T, D_in].
            state: The state before the first step [B, S].
            is_first: [B, T], non-zero where a step starts a new episode: everything remembered before it is forgotten
                before the step is read. None where no step does.

        Returns:
            Outputs [B, T, D] and the state after the last step [B, S], both of the weights' dtype under
            :func:`torch.autocast`, where inputs may have another.

        Raises:
            ValueError: If a shape does not fit the model.
            SettingsError: If the state's dtype does not hold the model's counts of steps.
        """
        self._check_shapes(x, state, is_first)
        if autocast_changes(x):
            x, state = x.to(self._dtype), state.to(self._dtype)
        if is_first is not None and is_first.dtype != torch.bool:
            is_first = is_first != 0
        if x.shape[1] == 1 and not torch.is_grad_enabled():
            return self.step(x, state, is_first)
        return self.contain(x, state, is_first)

    def contain(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Implement `forward`, on checked shapes, for numbers that `read` may not be given.

        What is not finite is lost, and so is all that is remembered of the episode from then on.
        """
        lost, lost_before = not_finite(x), not_finite(state)
        y, parts = self.read(without(x, lost), self.state_layout.unpack(without(state, lost_before)), is_first)
        lost = lost_from(lost, lost_before, is_first)
        parts = {
            name: part if name in self.state_layout.counters else lose(part, lost[:, -1])
            for name, part in parts.items()
        }
        return lose(y, lost), self._packed(parts, state)

    def step(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Implement `forward` for a lone step, on checked shapes, without gradients: acting pays for everything.

        There is no other step to keep a NaN from, but for what a first step forgets.
        """
        if is_first is not None:
            state = state.masked_fill(is_first, 0)
        y, parts = self.read(x, self.state_layout.unpack(state), is_first)
        return y, self._packed(parts, state)

    def _packed(self, parts: Mapping[str, Tensor], before: Tensor) -> Tensor:
        """Return the state of these parts; where there are none, the one before it [B, 0], which says how many rows."""
        return self.state_layout.pack(parts) if parts else before

    def memories(self, state: Tensor) -> dict[str, Tensor]:
        """Name what a packed state [..., S] remembers, for those who want to look.

        Returns:
            By a name such as "layers.0.keys", [..., *shape] each. Clocks and counters, parts of a single number, are
            left out.
        """
        parts = self.state_layout.unpack(state)
        return {name: parts[name] for name, shape in self.state_layout.parts.items() if math.prod(shape) > 1}

    @abstractmethod
    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Implement `forward`, on checked shapes, with the state's parts by name and `is_first` as booleans.

        Sequences, and whatever has gradients, come here with finite numbers only; see :meth:`contain`.
        """

    def _check_shapes(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> None:
        if x.dim() != 3 or x.shape[-1] != self.input_dim or x.shape[1] == 0:
            raise ValueError(f"x has shape {list(x.shape)}; expected [B, T, {self.input_dim}] with T ≥ 1")
        if state.shape != (x.shape[0], self.state_size):
            raise ValueError(f"state has shape {list(state.shape)}; expected [{x.shape[0]}, {self.state_size}]")
        if state.dtype.itemsize < 4:
            self._check_dtype(state.dtype)
        if is_first is not None and is_first.shape != x.shape[:2]:
            raise ValueError(f"is_first has shape {list(is_first.shape)}; expected {list(x.shape[:2])}")


class ModelSettings(Settings, ABC):
    """Base of the settings of a model; they know how to build it."""

    @classmethod
    def as_meant(cls, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the settings in a checkpoint, perhaps of an earlier version, are called now.

        Args:
            recorded: What it states. What the model no longer has (:attr:`former`) is left out, and what it did not
                have yet is what it was then (:attr:`unstated`).
        """
        known = {key: value for key, value in recorded.items() if key in cls.model_fields or key not in cls.former}
        return {**cls.unstated, **known}

    @property
    @abstractmethod
    def output_dim(self) -> int:
        """D, features of each output step of the model that these settings build."""

    @abstractmethod
    def build(self, input_dim: int) -> SequenceModel:
        """Build the model for inputs of `input_dim` features, with freshly initialised weights."""
