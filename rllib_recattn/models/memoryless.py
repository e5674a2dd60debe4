"""No memory: feed-forward blocks that read one step at a time, as a baseline that shows how much of a task needs none.

They are the blocks of the stacked models without what mixes the steps of a sequence; see
:mod:`rllib_recattn.models.parts.feedforward` for the equations. POPGym (arXiv 2303.01859) calls such a model MLP.
"""

from __future__ import annotations

from torch import Tensor

from rllib_recattn.models.base import SequenceModel, StateLayout
from rllib_recattn.models.parts.blocks import BlockSettings
from rllib_recattn.models.parts.containment import lose, not_finite, without
from rllib_recattn.models.parts.feedforward import FeedForwardNetwork


class MemorylessSettings(BlockSettings):
    """Settings of the model without memory; its blocks are those of the other stacked models, without attention."""

    def build(self, input_dim: int) -> Memoryless:
        """Build the model for inputs of `input_dim` features."""
        return Memoryless(input_dim, self)


class Memoryless(SequenceModel):
    """Feed-forward blocks. State: none, [B, 0].

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and the kind of blocks.
    """

    def __init__(self, input_dim: int, settings: MemorylessSettings):
        super().__init__(input_dim, settings.output_dim, StateLayout({}))
        self.network = FeedForwardNetwork(input_dim, settings)

    def contain(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keep what is not finite to its own step, for nothing remembers it; see :meth:`SequenceModel.contain`."""
        lost = not_finite(x)
        return lose(self.network(without(x, lost)), lost), state

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`SequenceModel.forward`."""
        return self.network(x), {}
