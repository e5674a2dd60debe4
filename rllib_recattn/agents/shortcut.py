"""The layers around a model without PyTorch's calls of modules, which for one row take longer than their products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rllib_recattn.models.kernels.modules import Modules
from rllib_recattn.models.kernels.weights import Weights
from rllib_recattn.models.parts.graphs import in_graph
from rllib_recattn.models.torch_internals import parameters_of

Layer = Callable[[Tensor], Tensor]

_FUNCTIONS: dict[type[nn.Module], Layer] = {
    nn.ReLU: torch.relu,
    nn.Tanh: torch.tanh,
    nn.SiLU: nn.functional.silu,
    nn.ELU: nn.functional.elu,
    nn.GELU: nn.functional.gelu,
}


class Shortcut:
    """Computes what a sequence of Linear layers and activations does, by the same operations.

    Args:
        layers: The sequence.
        around: The module that it stands for, whose only layers these are. It is called in graphs, and
            where somebody listens to one of its modules or has replaced one.
        otherwise: How to call it.
    """

    def __init__(self, layers: nn.Sequential, around: nn.Module, otherwise: Layer):
        self._otherwise = otherwise
        self._steps = [(_FUNCTIONS.get(type(layer)), parameters_of(layer)) for layer in layers]
        self._weights, self._left_out = Weights(around), Modules(around)

    @classmethod
    def of(cls, layers: nn.Sequential | None, around: nn.Module, otherwise: Layer) -> Layer:
        """Return the shortcut if there are such layers and nothing else among them, or else what calls the module."""
        if layers is None or any(type(layer) not in (nn.Linear, *_FUNCTIONS) for layer in layers):
            return otherwise
        return cls(layers, around, otherwise)

    def __call__(self, x: Tensor) -> Tensor:
        """Map [B, F] to [B, G]."""
        if in_graph() or not self._left_out.may_be_left_out() or not self._weights.are_parameters():
            return self._otherwise(x)
        linear = nn.functional.linear
        for function, parameters in self._steps:
            x = linear(x, parameters["weight"], parameters["bias"]) if function is None else function(x)
        return x
