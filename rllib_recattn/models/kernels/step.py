"""Whole acting steps of stacks by the kernels in stack.cpp, and in a file for each kind of mixers."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rllib_recattn.models.kernels.library import loaded
from rllib_recattn.models.kernels.modules import Modules
from rllib_recattn.models.kernels.reuse import Reuse
from rllib_recattn.models.kernels.weights import Weights


@dataclass(frozen=True)
class StepKernel:
    """Which kernel takes the acting steps of stacks of a kind of mixers.

    Attributes:
        name: Of the file <name>_step.cpp.
        sizes: What it calls so.
        constants: Likewise.
    """

    name: str
    sizes: tuple[int, ...]
    constants: tuple[float, ...] = ()


class Step:
    """Takes acting steps with the weights of a stack.

    Args:
        model: A :class:`rllib_recattn.models.parts.stack.Stack`. Its weights may be replaced later; with
            other modules it is left to PyTorch.
        sizes: D_in, S, D, D_ff or 0, the number of layers, whether they are gated, whether a relu follows the
            embedding, and the taps of a convolution in front of each mixer.
        kernel: That of its mixers.
    """

    def __init__(self, model: nn.Module, sizes: Sequence[int], kernel: StepKernel):
        self._kernel, self._sizes, self._d_model = kernel, (*sizes, *kernel.sizes), sizes[2]
        self._weights = Weights(model)
        self._shapes = [weight.shape for weight in self._weights.now()]
        self._left_out = Modules(model)
        self._kept, self._states = _Kept(), Reuse()

    def __call__(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """Implement :meth:`rllib_recattn.models.parts.stack.Stack.step`.

        Returns:
            None where that is left to PyTorch: the weights or the modules are not what they were when the model was
            made, or somebody listens to modules, which kernels do not call.
        """
        try:
            weights = self._weights.now()
        except KeyError:  # a parametrization, such as PyTorch's weight normalisation, takes one away
            return None
        if not self._left_out.may_be_left_out():
            return None
        pointers = list(map(Tensor.data_ptr, weights))
        arguments, dtype = self._kept.arguments, x.dtype
        if (
            arguments is None
            or arguments.pointers != pointers
            or arguments.dtype != dtype
            or not all(map(Tensor.is_contiguous, weights))
        ):
            if not all(map(self._fits, weights, self._shapes, repeat(dtype))):
                return None
            arguments = self._kept.arguments = self._arguments_for(weights, dtype)
        x, state = x.contiguous(), state.contiguous()
        rows = len(x)
        y, new_state = x.new_empty((rows, 1, self._d_model)), self._states.empty_like(state)
        if is_first is not None:
            is_first = is_first.contiguous()
        arguments.function(
            arguments.weights,
            arguments.constants,
            arguments.sizes,
            rows,
            x.data_ptr(),
            state.data_ptr(),
            None if is_first is None else is_first.data_ptr(),
            y.data_ptr(),
            new_state.data_ptr(),
            torch.get_num_threads(),
        )
        return y, new_state

    def _fits(self, weight: Tensor, shape: torch.Size, dtype: torch.dtype) -> bool:
        return weight.shape == shape and weight.dtype == dtype and weight.device.type == "cpu"

    def _arguments_for(self, weights: list[Tensor], dtype: torch.dtype) -> _Arguments:
        dense = [weight.contiguous() for weight in weights]
        kernel, sizes = self._kernel, self._sizes
        return _Arguments(
            dtype,
            [weight.data_ptr() for weight in weights],
            loaded().step(kernel.name, dtype),
            (ctypes.c_void_p * len(dense))(*(weight.data_ptr() for weight in dense)),
            (ctypes.c_double * len(kernel.constants))(*kernel.constants),
            (ctypes.c_int64 * len(sizes))(*sizes),
            dense,
        )


class _Arguments(NamedTuple):
    """What is the same at every step until a weight moves, and takes longer to make than a short step."""

    dtype: torch.dtype
    pointers: list[int]  # to the weights as they are
    function: Any
    weights: Any
    constants: Any
    sizes: Any
    dense: list[Tensor]  # the weights that are pointed to


class _Kept:
    """Arguments from one step to the next; a copy's weights are elsewhere, and it makes its own."""

    def __init__(self) -> None:
        self.arguments: _Arguments | None = None

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()
