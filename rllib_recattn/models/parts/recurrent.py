"""What LSTM and GRU have in common: PyTorch's recurrent networks behind the contract of the catalog.

Weights and biases start as PyTorch starts them, uniform between ±1/√d_model. With `max_timescale`, the biases of the
gates that keep start so that features are kept for between 2 and that many steps; see
:mod:`rllib_recattn.models.parts.timescales`.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.base import ModelSettings, SequenceModel, StateLayout
from rllib_recattn.models.parts.graphs import in_graph


class RecurrentSettings(ModelSettings):
    """What LSTM and GRU have to be told; the default width is that of RLlib's own LSTM."""

    d_model: int = Field(256, gt=0, description="width of the hidden state and of the output")
    n_layers: int = Field(1, gt=0, description="number of layers")
    max_timescale: float | None = Field(
        None,
        ge=2,
        description="steps over which the slowest features are forgotten at the start; None: PyTorch's biases, about 2",
    )

    @property
    def output_dim(self) -> int:
        """D, the width of the hidden state."""
        return self.d_model


class RecurrentNetwork(SequenceModel):
    """A recurrent network behind the contract of the catalog.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes.
        parts: Names of the parts of the state, [n_layers, d_model] each.
    """

    def __init__(self, input_dim: int, settings: RecurrentSettings, *parts: str):
        shape = (settings.n_layers, settings.d_model)
        super().__init__(input_dim, settings.output_dim, StateLayout(dict.fromkeys(parts, shape)))

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`SequenceModel.forward`.

        PyTorch's kernels cannot forget on the way, so the sequence is cut wherever any row starts again, and each
        piece costs a call.
        """
        if is_first is None:
            return self.run(x, state)
        n_steps = x.shape[1]
        # To look at the numbers would make a GPU wait.
        cuts = range(n_steps) if n_steps == 1 or in_graph() else is_first.any(dim=0).nonzero().flatten().tolist()
        outputs = []
        for start, end in pairwise(sorted({0, *cuts, n_steps})):
            fresh = is_first[:, start, None, None]
            y, state = self.run(x[:, start:end], {name: part.masked_fill(fresh, 0) for name, part in state.items()})
            outputs.append(y)
        return torch.cat(outputs, dim=1), state

    def step(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read a lone step without gradients; see :meth:`SequenceModel.step`.

        An infinity, at which gates are just shut or wide open, is as little an input here as in a sequence.
        """
        return super().step(torch.add(x, x, alpha=0), state, is_first)  # x + 0 · x: NaN where x is infinite

    def memories(self, state: Tensor) -> dict[str, Tensor]:
        """Name what each layer remembers; see :meth:`SequenceModel.memories`."""
        return {
            f"layers.{layer}.{name}": value
            for name, part in self.state_layout.unpack(state).items()
            for layer, value in enumerate(part.unbind(-2))
        }

    @abstractmethod
    def run(self, x: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Implement `read`, for steps of which none starts an episode."""


def start_with_biases(network: nn.RNNBase, biases: Tensor) -> None:
    """Give every layer these biases [G · d_model], of G gates; PyTorch adds two, of which one is enough."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith("bias_ih"):
                parameter.copy_(biases)
            elif name.startswith("bias_hh"):
                parameter.zero_()


def swap_batch_and_layers(part: Tensor) -> Tensor:
    """Turn [B, n_layers, D] into [n_layers, B, D], or back."""
    return part.transpose(0, 1).contiguous()
