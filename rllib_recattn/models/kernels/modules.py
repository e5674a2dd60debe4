"""Whether the modules that kernels do without are those that were made, and nobody listens to them."""

from __future__ import annotations

from torch import nn

from rllib_recattn.models.torch_internals import children_of, global_hook_check, hooks_of


class Modules:
    """Modules and all in them, whose weights a kernel takes without calling any of them.

    To look each of them up by its name takes longer.

    Args:
        *tops: The modules, with all that will be in them.
    """

    def __init__(self, *tops: nn.Module):
        modules = [module for top in tops for module in top.modules()]
        self._hooks = [hooks for each in modules for hooks in hooks_of(each)]
        self._places = [
            (children, name)
            for children in map(children_of, modules)
            for name, child in children.items()
            if child is not None
        ]
        self._children = [children[name] for children, name in self._places]
        self._is_any_global = global_hook_check()

    def may_be_left_out(self) -> bool:
        """Say whether to call them would do what a kernel does.

        It would not where somebody listens to one of them, as pruning and spectral normalisation do; where one has been
        replaced, such as by one that adds an adapter to its weights; or where one has a `forward` of its own.
        """
        if any(self._hooks) or self._is_any_global():
            return False
        try:
            # Modules are equal to themselves alone.
            if [children[name] for children, name in self._places] != self._children:
                return False
        except KeyError:
            return False
        for each in self._children:  # noqa: SIM110 - a generator takes four times as long
            if "forward" in each.__dict__:
                return False
        return True
