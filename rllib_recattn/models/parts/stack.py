"""A stack of blocks, each around a mixer: what all models of the catalog but LSTM, GRU and RATE are made of.

Shape suffixes: B rows of a batch, T steps, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.base import SequenceModel, StateLayout
from rllib_recattn.models.kernels.library import serve_products
from rllib_recattn.models.kernels.step import Step, StepKernel
from rllib_recattn.models.parts.blocks import Block, BlockSettings, orthogonal_linear
from rllib_recattn.models.parts.counters import Counter
from rllib_recattn.models.parts.short_convolution import ConvolvedBlock

CONV_SIZE = (
    "steps of a causal convolution of each feature in front of the attention, as the published layers of Mamba and "
    "DeltaNet have, of 4; 0: none"
)


class StackSettings(BlockSettings, ABC):
    """What the settings of all stacked models have."""

    former = MappingProxyType(dict.fromkeys(("n_heads", "d_head"), "the model has no heads; leave it out"))

    feedforward: bool = Field(True, description="whether a block has a feed-forward part behind its attention")


class MultiHeadSettings(StackSettings, ABC):
    """What the settings of those models have besides whose mixers have heads."""

    n_heads: int = Field(4, gt=0, description="attention heads in a block")
    d_head: int = Field(64, gt=0, description="width of a head")


class LinearAttentionSettings(MultiHeadSettings, ABC):
    """What the settings of linear attention have besides, which tells steps apart by what they hold alone."""

    conv_size: int = Field(0, ge=0, description=CONV_SIZE)


class Mixer(nn.Module, ABC):
    """The part of a block that mixes the steps of a sequence, and the only one that remembers.

    Args:
        state_parts: The shape of each part of its state, without the batch dimension.
    """

    def __init__(self, state_parts: Mapping[str, tuple[int, ...]]):
        super().__init__()
        self.state_parts = dict(state_parts)

    @abstractmethod
    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps.

        Args:
            h: Normalised inputs [B, T, D].
            state: The mixer's state before the first step, by part, [B, *shape] each.
            is_first: [B, T] booleans, true where everything remembered is forgotten before the step; or None.
            context: What the stack works out once for all of its mixers; see :meth:`Stack.context`.

        Returns:
            Outputs [B, T, D], and the state after the last step.
        """

    def step(self, h: Tensor, state: dict[str, Tensor], new_state: dict[str, Tensor], context: Any) -> Tensor:
        """Read one step without gradients, and write the new state where it is wanted: acting pays for every copy.

        Args:
            h: Normalised inputs [B, 1, D].
            state: The mixer's state by part, [B, *shape] each; empty already where the step starts an episode.
            new_state: Where the state after the step goes, likewise.
            context: What the stack has worked out for this step.

        Returns:
            Outputs [B, 1, D].
        """
        y, values = self(h, state, None, context)
        for part, value in values.items():
            new_state[part].copy_(value)
        return y

    def step_kernel(self) -> StepKernel | None:
        """Say which kernel in C++ takes acting steps of stacks of mixers like this one; None: there is none.

        It holds for the class that says so alone: a subclass may compute something else.
        """
        return None

    def gates(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any) -> dict[str, Tensor]:
        """Work out how much each step forgets, for those who want to look; reading does not come by here.

        Args:
            h: As for `forward`.
            state: Likewise.
            is_first: Likewise.
            context: Likewise.

        Returns:
            By the gate's name, the share of what is remembered that the step forgets, [B, T, H, …] in [0, 1]. None
            for mixers that have no gates.
        """
        return {}

    def attention(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any) -> Tensor | None:
        """Work out what each step attends to, for those who want to look; arguments as for `gates`.

        Returns:
            Probabilities [B, T, H, P] of the step itself and the P − 1 steps before it, the newest first. None for
            mixers that attend to no single steps.
        """
        return None


class Stack(SequenceModel):
    """A Dense layer and a stack of blocks.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and the kind of blocks.
        mixers: One for each block.
        rectified: Whether a relu follows the Dense layer.
        counters: Parts of the state that belong to no single block; see :class:`StateLayout`.
        conv_size: Steps of a convolution in front of each mixer; 0: there is none.
    """

    _native_step: Step | None = None

    def __init__(
        self,
        input_dim: int,
        settings: StackSettings,
        mixers: Sequence[Mixer],
        *,
        rectified: bool = True,
        counters: Mapping[str, Counter | None] | None = None,
        conv_size: int = 0,
    ):
        embedding = orthogonal_linear(input_dim, settings.d_model)
        d_ff = (settings.d_ff or settings.d_model) if settings.feedforward else None
        sizes = (settings.d_model, d_ff, settings.residual, settings.gate_bias)
        blocks = [ConvolvedBlock(mixer, *sizes, conv_size) if conv_size else Block(mixer, *sizes) for mixer in mixers]
        parts: dict[str, tuple[int, ...]] = dict.fromkeys(counters or {}, (1,))
        self._part_names = [
            {part: f"layers.{layer}.{part}" for part in block.state_parts} for layer, block in enumerate(blocks)
        ]
        for names, block in zip(self._part_names, blocks, strict=True):
            parts |= {names[part]: shape for part, shape in block.state_parts.items()}
        super().__init__(input_dim, settings.output_dim, StateLayout(parts, counters))
        self._rectified = rectified
        self.embedding = embedding
        self.layers = nn.ModuleList(blocks)
        # A sum of many sublayers has no fixed scale; a gate keeps that of its inputs.
        self.output_norm = nn.LayerNorm(settings.d_model) if settings.residual == "sum" else nn.Identity()
        kind = settings.residual == "gated", rectified, conv_size
        self._step_sizes = input_dim, self.state_size, settings.d_model, d_ff or 0, len(blocks), *kind

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_step_sizes" not in state:  # pickled as a whole by a version whose steps were others
            self._native_step = None

    def act_by_kernels(self) -> None:
        """Have a kernel in C++ take acting steps, if there is one for the mixers; called when all weights are there."""
        kernels = {_own_step_kernel(layer.mixer) for layer, _ in self._named_blocks()}
        kernel = kernels.pop()
        if kernel is not None and not kernels:
            self._native_step = Step(self, self._step_sizes, kernel)

    def context(self, state: dict[str, Tensor], n_steps: int, is_first: Tensor | None) -> tuple[Any, dict[str, Tensor]]:
        """Work out what all mixers need for the next `n_steps` steps.

        Args:
            state: The whole state, by part.
            n_steps: T.
            is_first: [B, T] booleans, or None.

        Returns:
            The mixers' last argument, and the new value of the parts that belong to no single block.
        """
        return None, {}

    def step(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read a lone step without gradients, a cheaper way; see :meth:`SequenceModel.step`."""
        if self._native_step is not None and serve_products(x.shape[0], x, state):
            done = self._native_step(x, state, is_first)
            if done is not None:
                return done
        parts = self.state_layout.unpack(state)
        context, shared = self.context(parts, 1, is_first)
        if is_first is not None:
            parts = self.state_layout.unpack(state.masked_fill(is_first, 0))
        new_state = torch.empty_like(state)
        new_parts = self.state_layout.unpack(new_state)
        for name, value in shared.items():
            new_parts[name].copy_(value)
        y = self._embed(x)
        for layer, names in self._named_blocks():
            old, new = ({part: source[name] for part, name in names.items()} for source in (parts, new_parts))
            y = layer.step(y, old, new, context)
        return self.output_norm(y), new_state

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`SequenceModel.forward`."""
        context, new_state = self.context(state, x.shape[1], is_first)
        y = self._embed(x)
        for layer, names in self._named_blocks():
            parts = {part: state[name] for part, name in names.items()}
            y, parts = self.read_block(layer, y, parts, is_first, context)
            new_state |= {names[part]: value for part, value in parts.items()}
        return self.output_norm(y), new_state

    def read_block(
        self, block: Block, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps with one of the blocks, as :meth:`Mixer.forward` does with its mixer."""
        y, new_state = block(x, state, is_first, context)
        return y, new_state

    def _embed(self, x: Tensor) -> Tensor:
        y = self.embedding(x)
        return torch.relu(y) if self._rectified else y

    def _named_blocks(self) -> Iterable[tuple[Block, dict[str, str]]]:
        """Pair each block with the names of its parts in the whole state."""
        return zip(cast("Iterable[Block]", self.layers), self._part_names, strict=True)


def _own_step_kernel(mixer: Mixer) -> StepKernel | None:
    return mixer.step_kernel() if "step_kernel" in vars(type(mixer)) else None
