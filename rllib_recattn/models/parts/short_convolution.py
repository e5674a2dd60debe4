"""A short causal convolution: each feature is a weighted sum of its last few steps in the same episode.

    h'_t = Σ_{i < W} w_i ⊙ h_{t−i}

A memory that is written and read by content alone learns only slowly how long ago a step was; the taps w_i tell the
steps before from one another. The published layers of GLA, Mamba and DeltaNet (arXiv 2312.06635, 2312.00752,
2406.06484) have one, of four steps.

Shape suffixes: B rows of a batch, T steps, D features, W taps.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from rllib_recattn.models.kernels.convolution import convolve
from rllib_recattn.models.kernels.library import serve
from rllib_recattn.models.parts.blocks import Block, Residual
from rllib_recattn.models.parts.recent_steps import RECENT, look_back


class ShortConvolution(nn.Module):
    """Adds up the last W steps of each feature, those of an earlier episode left out.

    At the start w_0 is 1 and the others are 0, but for noise, uniform within ±½/√W.

    Args:
        features: D.
        size: W ≥ 1.

    Attributes:
        weight: w_0 … w_{W−1} [W, D], that of the step itself first.
        state_shape: The shape [W − 1, D] of what it remembers: its inputs of the last steps, the newest first. Places
            of steps before the episode are zero.
    """

    def __init__(self, features: int, size: int):
        super().__init__()
        self.state_shape = (size - 1, features)
        bound = 0.5 / math.sqrt(size)
        self.weight = nn.Parameter(torch.empty(size, features).uniform_(-bound, bound))
        with torch.no_grad():
            self.weight[0] += 1

    def forward(self, h: Tensor, recent: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read T steps.

        Args:
            h: Inputs [B, T, D].
            recent: What it remembers before the first step [B, W − 1, D].
            is_first: [B, T] booleans, true where a step starts an episode; or None.

        Returns:
            Outputs [B, T, D], and what it remembers after the last step.
        """
        if serve(h, recent, self.weight):
            return convolve(h, recent, is_first, self.weight)
        earlier, new_recent = look_back(h, recent, is_first)
        y = h * self.weight[0]
        for before, weight in zip(earlier, self.weight[1:], strict=True):
            y = torch.addcmul(y, before, weight)
        return y, new_recent

    def step(self, h: Tensor, recent: Tensor, new_recent: Tensor) -> Tensor:
        """Read one step without gradients, and write what is remembered after it where it is wanted.

        Args:
            h: Inputs [B, 1, D].
            recent: What it remembers before the step [B, W − 1, D]; empty already where the step starts an episode.
            new_recent: Where what it remembers after the step goes.

        Returns:
            Outputs [B, 1, D].
        """
        steps = torch.cat([h, recent], dim=1)
        new_recent.copy_(steps[:, :-1])
        return (steps * self.weight).sum(dim=1, keepdim=True)


class ConvolvedBlock(Block):
    """A block whose mixer reads convolution(LayerNorm x) in the place of LayerNorm x.

    Its state has a part `recent` besides the mixer's.

    Args:
        mixer: A :class:`rllib_recattn.models.parts.stack.Mixer`.
        d_model: D.
        d_ff: As for a :class:`Block`.
        residual: Likewise.
        gate_bias: Likewise.
        conv_size: W.
    """

    def __init__(
        self, mixer: nn.Module, d_model: int, d_ff: int | None, residual: Residual, gate_bias: float, conv_size: int
    ):
        super().__init__(mixer, d_model, d_ff, residual, gate_bias)
        self.convolution = ShortConvolution(d_model, conv_size)

    @property
    def state_parts(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part of its state, without the batch dimension."""
        return {**super().state_parts, RECENT: self.convolution.state_shape}

    def forward(
        self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the block's output [B, T, D] and its new state, by part; as a mixer does."""
        h, recent = self.convolution(self.mixer_norm(x), state[RECENT], is_first)
        mixed, new_state = self.mixer(h, state, is_first, context)
        return self.behind_mixer(x, mixed), {**new_state, RECENT: recent}

    def step(self, x: Tensor, state: dict[str, Tensor], new_state: dict[str, Tensor], context: Any) -> Tensor:
        """Return the block's output [B, 1, D], and write its new state, as a mixer does."""
        h = self.convolution.step(self.mixer_norm(x), state[RECENT], new_state[RECENT])
        return self.behind_mixer(x, self.mixer.step(h, state, new_state, context))
