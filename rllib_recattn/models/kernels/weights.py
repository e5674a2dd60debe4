"""The weights of a module, for kernels that do without its submodules."""

from __future__ import annotations

from torch import Tensor, nn


class Weights:
    """A module's parameters in the order of its `parameters()`, which may be replaced by others at any time.

    To look each of them up by its name takes as long as to use it.
    """

    def __init__(self, module: nn.Module):
        self._places = [
            (m._parameters, name) for m in module.modules() for name, p in m._parameters.items() if p is not None
        ]

    def are_parameters(self) -> bool:
        """Say whether they all still are: a parametrization, such as PyTorch's weight normalisation, takes one away."""
        return all(name in parameters for parameters, name in self._places)

    def now(self) -> list[Tensor]:
        """Return those that the module has now."""
        return [parameters[name] for parameters, name in self._places]  # type: ignore[misc]
