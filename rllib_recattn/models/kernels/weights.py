"""The weights of a module, for kernels that do without its submodules."""

from __future__ import annotations

from torch import Tensor, nn

from rllib_recattn.models.torch_internals import parameters_of


class Weights:
    """A module's parameters in the order of its `parameters()`, which may be replaced by others at any time.

    To look each of them up by its name takes as long as to use it.
    """

    def __init__(self, module: nn.Module):
        of_modules = map(parameters_of, module.modules())
        self._places = [(own, name) for own in of_modules for name, parameter in own.items() if parameter is not None]

    def are_parameters(self) -> bool:
        """Say whether they all still are: a parametrization, such as PyTorch's weight normalisation, takes one away."""
        return all(name in parameters for parameters, name in self._places)

    def now(self) -> list[Tensor]:
        """Return those that the module has now."""
        return [parameters[name] for parameters, name in self._places]
