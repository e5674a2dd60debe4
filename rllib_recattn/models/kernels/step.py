"""A whole acting step of AGaLiTe by the kernel in step.cpp."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rllib_recattn.models.kernels.library import loaded
from rllib_recattn.models.kernels.operators import Pointers
from rllib_recattn.models.kernels.weights import Weights
from rllib_recattn.models.parts.oscillation import Oscillation


class Step:
    """Takes acting steps with the weights of a model, whose blocks are gated and have a feed-forward part.

    Args:
        model: An AGaLiTe. Its weights may be replaced later, its modules may not.
        sizes: H, d and η.
        oscillation: Its channels.
    """

    def __init__(self, model: nn.Module, sizes: tuple[int, int, int], oscillation: Oscillation):
        self._sizes, self._period = sizes, oscillation.period
        self._frequencies = torch.tensor([*oscillation.frequencies, oscillation.offset], dtype=torch.float64)
        self._weights, self._pointers = Weights(model), Pointers()

    def serves(self) -> bool:
        """Say whether the model's weights are where they were when it was made."""
        return self._weights.are_parameters()

    def __call__(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Implement :meth:`rllib_recattn.models.parts.stack.Stack.step`."""
        first = None if is_first is None else is_first[:, 0]
        y, new_state = loaded().agalite_step(
            x[:, 0], state, first, self._weights.now(), self._pointers, self._sizes, self._frequencies, self._period
        )
        return y.unsqueeze(1), new_state
