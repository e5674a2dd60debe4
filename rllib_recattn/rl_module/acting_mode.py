"""Modules that sample need not be told at each step that they do not train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule

from rllib_recattn.rl_module.recurrent_module import RecurrentModule


class ActingModeMixin(RecurrentModule):
    """For modules: stay in evaluation mode while a sample is taken, at no cost.

    ``TorchRLModule.forward_exploration`` and ``forward_inference`` (core/rl_module/torch/torch_rl_module.py) put each
    part of a module into evaluation mode before a step, and each back into training mode after it.
    """

    training: bool
    _keeps_mode = False

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Put this module into evaluation mode, and keep it there, for the body."""
        was_training = self.training
        self.eval()
        self._keeps_mode = True
        try:
            yield
        finally:
            self._keeps_mode = False
            self.train(was_training)

    def train(self, mode: bool = True) -> Any:
        """Set the mode of this module and of its parts, unless it is to keep that in which it is."""
        return self if self._keeps_mode else super().train(mode)


@contextmanager
def acting(rl_module: Any) -> Iterator[None]:
    """Keep the modules of this package in evaluation mode for the body.

    Args:
        rl_module: A module, several in one, or None.
    """
    modules = rl_module.values() if isinstance(rl_module, MultiRLModule) else [rl_module]
    with ExitStack() as stack:
        for module in modules:
            if isinstance(module, ActingModeMixin):
                stack.enter_context(module.acting())
        yield
