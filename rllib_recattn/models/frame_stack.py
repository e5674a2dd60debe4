"""The last n inputs side by side, read by feed-forward blocks: the baseline that deep Q-networks made usual.

    y_t = network([x_t, x_{t−1}, …, x_{t−n+1}])

with zeros where a step is before the episode. The network is that of :mod:`rllib_recattn.models.memoryless`. Source:
Mnih et al. (Nature, 2015), with features in the place of frames; POPGym (arXiv 2303.01859) calls it Stack.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from rllib_recattn.models.base import SequenceModel, StateLayout
from rllib_recattn.models.parts.blocks import BlockSettings
from rllib_recattn.models.parts.containment import lose, lost_in_window, not_finite, without
from rllib_recattn.models.parts.feedforward import FeedForwardNetwork
from rllib_recattn.models.parts.recent_steps import RECENT, ages, look_back


class FrameStackSettings(BlockSettings):
    """Settings of the frame stack; its blocks are those of the other stacked models, without attention."""

    n_frames: int = Field(4, gt=0, description="inputs that are read side by side, the newest among them")

    def build(self, input_dim: int) -> FrameStack:
        """Build the model for inputs of `input_dim` features."""
        return FrameStack(input_dim, self)


class FrameStack(SequenceModel):
    """Feed-forward blocks over the last n inputs.

    State: the last n − 1 inputs, the newest first, (n_frames − 1) · D_in numbers; zeros before an episode.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and the kind of blocks.
    """

    def __init__(self, input_dim: int, settings: FrameStackSettings):
        self.n_before = settings.n_frames - 1
        super().__init__(input_dim, settings.output_dim, StateLayout({RECENT: (self.n_before, input_dim)}))
        self.network = FeedForwardNetwork(settings.n_frames * input_dim, settings)

    def contain(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keep what is not finite where it belongs; see :meth:`SequenceModel.contain`.

        After n steps it is forgotten, as all is, where other models remember it until the episode ends.
        """
        recent, lost = self.state_layout.unpack(state)[RECENT], not_finite(x)
        lost_recent = not_finite(recent)
        y, parts = self.read(without(x, lost), {RECENT: without(recent, lost_recent)}, is_first)
        steps = torch.cat([lost_recent.flip(1), lost], dim=1)
        age = torch.full_like(lost[:1], self.n_before, dtype=torch.long)
        if is_first is not None:
            age = ages(x.shape[1], self.n_before, is_first)
        y = lose(y, lost_in_window(steps, age.clamp(max=self.n_before)))
        places = torch.arange(self.n_before, device=x.device)
        lost_places = steps[:, x.shape[1] :].flip(1) & (places <= age[:, -1:])
        return y, self.state_layout.pack({RECENT: lose(parts[RECENT], lost_places)})

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`SequenceModel.forward`."""
        earlier, recent = look_back(x, state[RECENT], is_first)
        return self.network(torch.cat([x, *earlier], dim=-1)), {RECENT: recent}
