"""GTrXL, the gated Transformer-XL (arXiv 1910.06764), with an attention window of the same length for every step.

Per head of width d, from the normalised inputs h of the step t and of the M steps before it in its episode:

    q_t = W_q h_t + b_q      k_j = W_k h_j      v_j = W_v h_j      R_p = W_R sinusoid(p)
    score(t, j) = ((q_t + u) · k_j + (q_t + v) · R_{t−j}) / √d,        j = t − M … t
    a_t = Σ_j softmax_j(score(t, j)) v_j

followed by W_o over the concatenated heads and b_o. u and v are shared by all layers. The published layers have three
more biases that do nothing: those of W_k and W_R add the same to all scores of a step, and the probabilities' sum of
1 makes that of W_v a part of b_o.

What is remembered is what W_k and W_v are applied to, a quarter of the keys and values themselves at the default
sizes. A single step needs neither keys nor values of it: with q' = W_kᵀ (q + u) the scores are q' · h_j, and the heads
read W_v Σ_j p_j h_j.

The published implementations let the window of a training chunk grow by the chunk's length, so that training sees
more than acting does. Here both see the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.parts.blocks import orthogonal_linear
from rllib_recattn.models.parts.containment import lose, lost_from, lost_in_window, not_finite, without
from rllib_recattn.models.parts.counters import Counter
from rllib_recattn.models.parts.linear import linear
from rllib_recattn.models.parts.mixed_precision import without_autocast
from rllib_recattn.models.parts.relative_attention import (
    sinusoid_table,
    step_attention,
    step_mask,
    steps_in_reach,
    window_attention,
    window_masks,
    window_probabilities,
)
from rllib_recattn.models.parts.stack import Mixer, MultiHeadSettings, Stack

CACHE_LINE = 16  # float32 numbers


class GTrXLSettings(MultiHeadSettings):
    """Settings of GTrXL; the defaults are AGaLiTe's size."""

    memory_length: int = Field(128, gt=0, description="M, how many steps before its own a step attends to")

    def build(self, input_dim: int) -> GTrXL:
        """Build the model for inputs of `input_dim` features."""
        return GTrXL(input_dim, self)


@dataclass(frozen=True)
class Chunk:
    """What all layers need for the next T steps.

    Attributes:
        biases: v and u, over √d [2, H, d].
        sinusoids: sinusoid(0) … sinusoid(M) [M + 1, D].
        masks: What is added to the scores, by blocks of steps; see :func:`window_masks`.
        held: Which places of the memory will hold a step of this episode [B, M, 1], or None if no step is the first.
    """

    biases: Tensor
    sinusoids: Tensor
    masks: list[Tensor]
    held: Tensor | None


@dataclass(frozen=True)
class LoneStep:
    """What all layers need for a lone step; see :meth:`GTrXL.step`.

    Attributes:
        biases: v and u, over √d [2, H, d].
        sinusoids: sinusoid(0) … sinusoid(M) [M + 1, D].
        mask: What is added to the scores; see :func:`step_mask`.
    """

    biases: Tensor
    sinusoids: Tensor
    mask: Tensor


class GTrXL(Stack):
    """A stack of blocks with attention over the last M steps, behind one Dense layer with relu.

    State: how many steps of this episode the memory holds, and for each layer its normalised inputs of these steps, the
    newest first, n_layers · M · d_model numbers. Places that hold none are zero.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    sinusoids: Tensor

    def __init__(self, input_dim: int, settings: GTrXLSettings):
        mixers = [WindowAttention(settings) for _ in range(settings.n_layers)]
        count = Counter(settings.memory_length, "memory_length", settings.memory_length)
        super().__init__(input_dim, settings, mixers, counters={"count": count})
        self.memory_length, self.d_model = settings.memory_length, settings.d_model
        self.content_bias = nn.Parameter(torch.zeros(settings.n_heads, settings.d_head))  # u
        self.position_bias = nn.Parameter(torch.zeros(settings.n_heads, settings.d_head))  # v
        self._make_sinusoids()

    def _make_sinusoids(self) -> None:
        table = sinusoid_table(self.memory_length + 1, self.d_model)
        self.register_buffer("sinusoids", table.to(self.content_bias), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> GTrXL:
        super()._apply(fn, recurse)
        self._make_sinusoids()  # float32 sines that are cast to float64 are no float64 sines
        return self

    def contain(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keep what is not finite where it belongs; see :meth:`SequenceModel.contain`.

        What is lost leaves a layer's memory again, as all does, where other models remember it until the episode ends.
        Of what a memory holds only a count that is lost says nothing for as long.
        """
        parts, lost = self.state_layout.unpack(state), not_finite(x)
        uncounted = not_finite(parts["count"])
        parts["count"] = without(parts["count"], uncounted)
        reach = steps_in_reach(parts["count"], x.shape[1], is_first, self.memory_length)
        uncounted = lost_from(torch.zeros_like(lost), uncounted, is_first)
        x, places = without(x, lost), {}
        for names in self._part_names:
            name = names["memory"]
            lost_memory = not_finite(parts[name])
            parts[name] = without(parts[name], lost_memory)
            places[name] = torch.cat([lost.flip(1), lost_memory], dim=1)  # the newest first, as in the memory
            lost = uncounted | lost_in_window(places[name].flip(1), reach)
        y, parts = self.read(x, parts, is_first)
        held = self._held(parts["count"])
        for name, lost_places in places.items():
            parts[name] = lose(parts[name], lost_places[:, : self.memory_length] & held)
        parts["count"] = lose(parts["count"], uncounted[:, -1])
        return lose(y, lost), self.state_layout.pack(parts)

    def step(self, x: Tensor, state: Tensor, is_first: Tensor | None) -> tuple[Tensor, Tensor]:
        """Implement `forward` for a lone step, on checked shapes, without gradients.

        The state is copied once, moved on by one step: what a layer's memory held last is then where the next layer
        had its newest, and every layer finds its window of M + 1 steps in one piece, with its own place at the head.

            state       a₁ a₂ … a_M  b₁ b₂ … b_M
            copy     _  a₁ a₂ … a_M  b₁ b₂ … b_M
            windows  ╰───────────╯
                                ╰─────────────╯

        A layer that writes its place takes it from the layer before, which has done its reading. The last place of
        all is no part of the new state.
        """
        n_rows, width, d_model = x.shape[0], self.memory_length * self.d_model, self.d_model
        first = CACHE_LINE - 1  # where the copied state begins, so that memories do so with a cache line
        copy = state.new_empty(n_rows, _round_up(first + self.state_size + d_model))[:, first:]
        count, memory, moved = state[:, :1], state[:, 1:], copy[:, 1 + d_model : self.state_size + d_model]
        moved.copy_(memory)
        if is_first is not None:
            moved.masked_fill_(is_first, 0)
        reach = steps_in_reach(count, 1, is_first, self.memory_length)
        copy[:, :1] = self._count_after(reach)
        context = LoneStep(self._biases(), self.sinusoids, step_mask(reach, self.memory_length))
        y = self._embed(x)
        for index, (layer, _) in enumerate(self._named_blocks()):
            window = copy[:, 1 + index * width :][:, : width + d_model]
            y = layer.step(y, {}, {"window": window.unflatten(-1, (-1, d_model))}, context)
        return self.output_norm(y), copy[:, : self.state_size]

    def context(
        self, state: dict[str, Tensor], n_steps: int, is_first: Tensor | None
    ) -> tuple[Chunk, dict[str, Tensor]]:
        """Return what all layers need for the next T steps, and how many steps the memory holds after them."""
        reach = steps_in_reach(state["count"], n_steps, is_first, self.memory_length)
        count = self._count_after(reach)
        held = None
        if is_first is not None:
            held = self._held(count).unsqueeze(-1)
        masks = window_masks(reach, self.memory_length)
        return Chunk(self._biases(), self.sinusoids, masks, held), {"count": count}

    def _count_after(self, reach: Tensor) -> Tensor:
        return (reach[:, -1:] + 1).clamp(max=self.memory_length)

    def _held(self, count: Tensor) -> Tensor:
        """Tell which places of a memory hold a step [B, M], given how many do [B, 1]."""
        return torch.arange(self.memory_length, device=count.device) < count

    def _biases(self) -> Tensor:
        return torch.stack([self.position_bias, self.content_bias]) / math.sqrt(self.content_bias.shape[-1])


class WindowAttention(Mixer):
    """The attention of one layer; the module's docstring has its equations.

    State: `memory`, the normalised inputs of the last M steps, the newest first [B, M, D].

    Args:
        settings: Sizes and choices.
    """

    def __init__(self, settings: GTrXLSettings):
        super().__init__({"memory": (settings.memory_length, settings.d_model)})
        self.n_heads, self.d_head, self.memory_length = settings.n_heads, settings.d_head, settings.memory_length
        width = settings.n_heads * settings.d_head
        self.query = orthogonal_linear(settings.d_model, width)
        # W_R, W_k, W_v: a lone step takes the first two together, a chunk the last two.
        self.project = orthogonal_linear(settings.d_model, width, width, width, bias=False)
        self.output = orthogonal_linear(width, settings.d_model)

    def forward(
        self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Chunk
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`Mixer.forward`."""
        memory = torch.cat([h.flip(1), state["memory"]], dim=1)[:, : self.memory_length]
        if context.held is not None:
            memory = memory * context.held
        attended = window_attention(*self._operands(h, state["memory"], context), context.masks)
        return self.output(attended.flatten(-2)), {"memory": memory}

    def step(self, h: Tensor, state: dict[str, Tensor], new_state: dict[str, Tensor], context: LoneStep) -> Tensor:
        """Read one step; its window [B, M + 1, D] is there already, but for its own place, the first."""
        window = new_state["window"]
        window[:, 0] = h[:, 0]
        return self.output(self._attend_alone(self._query(h)[:, 0], window, context).unsqueeze(1))

    def _query(self, h: Tensor) -> Tensor:
        return self.query(h).unflatten(-1, (self.n_heads, self.d_head))

    def attention(self, h: Tensor, state: dict[str, Tensor], is_first: Tensor | None, context: Chunk) -> Tensor:
        """Return the probabilities [B, T, H, M + 1] of a step and the M before it; see :meth:`Mixer.attention`."""
        return window_probabilities(*self._operands(h, state["memory"], context), context.masks)

    def _operands(self, h: Tensor, memory: Tensor, context: Chunk) -> tuple[Tensor, Tensor, Tensor]:
        """Return what a chunk [B, T, D] and the memory [B, M, D] bring to :func:`window_attention`, but for masks."""
        width = self.n_heads * self.d_head
        w_position, w_key_value = self.project.weight.split([width, 2 * width])
        # Two products and not one, since a memory that arrives as data needs no gradients.
        keys_values = [linear(part, w_key_value) for part in (memory.flip(1), h)]
        positions = linear(context.sinusoids.flip(0), w_position)
        return (
            torch.add(context.biases[:, None, None], self._query(h), alpha=1 / math.sqrt(self.d_head)),
            torch.cat(keys_values, dim=1).unflatten(-1, (2, self.n_heads, self.d_head)),
            positions.unflatten(-1, (self.n_heads, self.d_head)),
        )

    @without_autocast
    def _attend_alone(self, query: Tensor, window: Tensor, context: LoneStep) -> Tensor:
        """Let the query of one step [B, H, d] read its window [B, M + 1, D]."""
        weights = self.project.weight.view(3 * self.n_heads, self.d_head, -1)
        w_score, w_value = weights.split([2 * self.n_heads, self.n_heads])
        queries = torch.add(context.biases.unsqueeze(2), query.transpose(0, 1), alpha=1 / math.sqrt(self.d_head))
        absorbed = torch.bmm(queries.flatten(0, 1), w_score).unflatten(0, (2, -1))
        mean = step_attention(absorbed, window, context.sinusoids, context.mask)
        return torch.bmm(mean.transpose(0, 1), w_value.mT).transpose(0, 1).flatten(1)


def _round_up(size: int) -> int:
    return -(-size // CACHE_LINE) * CACHE_LINE
