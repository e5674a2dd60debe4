"""The weights of a module, for kernels that do without its submodules."""

from __future__ import annotations

from torch import Tensor, nn

from rllib_recattn.models.torch_internals import buffers_of, parameters_of


class Weights:
    """The parameters of modules in the order of their `parameters()`, which may be replaced by others at any time.

    A submodule's buffers stand behind its own parameters.

    To look each of them up by its name takes as long as to use it.
    """

    def __init__(self, *modules: nn.Module):
        every = [each for module in modules for each in module.modules()]
        of_modules = [of(each) for each in every for of in (parameters_of, buffers_of)]
        self._places = [(own, name) for own in of_modules for name, tensor in own.items() if tensor is not None]

    def are_parameters(self) -> bool:
        """Say whether they all still are: a parametrization, such as PyTorch's weight normalisation, takes one away."""
        return all(name in parameters for parameters, name in self._places)

    def now(self) -> list[Tensor]:
        """Return those that the module has now.

        Raises:
            KeyError: If one of them is no parameter any more.
        """
        return [parameters[name] for parameters, name in self._places]
