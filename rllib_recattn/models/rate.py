"""RATE, the recurrent action transformer with memory (arXiv 2306.09459; ICLR 2026), adapted to acting online.

A life is cut into segments of K steps. N memory tokens m stand in front of each segment, to be read, and once more
behind it, to be written: a transformer runs over [m ; segment ; m']. What reads sees what reads; a step sees what reads
and the steps of its segment up to itself; what writes sees everything. When the K-th step has been read, the memory
retention valve makes the next memory out of the old one and of what was written:

    m ← MultiHead(Q = m, K = V = relu(m'))

A segment is finished by counting, never by looking ahead, and there is no return-to-go token: a step is one token.

Choices of this package, where the published code differs: a learned embedding of the slots instead of relative
positions; no cache of the previous segments' hidden states beside the memory tokens; memory tokens that start
different from each other; LayerNorm in front of the blocks, and therefore once more on m', which keeps the memory
from growing from segment to segment.

Shapes: B rows, T steps, D features, N memory tokens, K steps in a segment, F rows that finish a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from rllib_recattn.models.base import SequenceModel, StateLayout
from rllib_recattn.models.parts.blocks import Block, Residual, orthogonal_linear
from rllib_recattn.models.parts.counters import Counter
from rllib_recattn.models.parts.graphs import Rows, in_graph
from rllib_recattn.models.parts.segment_attention import MultiHeadAttention, SegmentAttention
from rllib_recattn.models.parts.segments import SegmentGrid
from rllib_recattn.models.parts.stack import MultiHeadSettings

SLOT_EMBEDDING_STD = 0.02


class RATESettings(MultiHeadSettings):
    """Settings of RATE; the defaults are AGaLiTe's size."""

    segment_length: int = Field(16, gt=0, description="K, steps after which the memory is updated")
    n_memory_tokens: int = Field(4, gt=0, description="N, memory tokens, each of d_model numbers")
    residual: Residual = Field(
        "sum",
        description='how a block joins its input: "sum", by addition, as in the paper; "gated", through a GRU cell',
    )

    def build(self, input_dim: int) -> RATE:
        """Build the model for inputs of `input_dim` features."""
        return RATE(input_dim, self)


@dataclass
class _Carry:
    """The state, in the form in which it is computed with.

    Attributes:
        memory: m, what the current segment reads [B, N, D], whether it has been written or is what a life starts with.
        written: Whether it has been written [B].
        position: Steps so far in the current segment [B].
        slots: For each layer, the normalised inputs of the current segment's tokens [B, N + K, D].
    """

    memory: Tensor
    written: Tensor
    position: Tensor
    slots: list[Tensor]


class RATE(SequenceModel):
    """A transformer over segments, with memory tokens between them.

    State: `memory`, m [B, N, D], zero as long as it has never been written; `written`, 1 once it has been;
    `position`, steps so far in the current segment; and for each layer `slots` [B, N + K, D], the normalised inputs of
    the current segment's memory tokens and steps so far, zero elsewhere.

    Args:
        input_dim: D_in, features of each input step.
        settings: Sizes and choices.
    """

    def __init__(self, input_dim: int, settings: RATESettings):
        d_model, n_tokens, n_steps = settings.d_model, settings.n_memory_tokens, settings.segment_length
        self._slot_parts = [f"layers.{layer}.slots" for layer in range(settings.n_layers)]
        parts: dict[str, tuple[int, ...]] = {"memory": (n_tokens, d_model), "written": (1,), "position": (1,)}
        parts |= dict.fromkeys(self._slot_parts, (n_tokens + n_steps, d_model))
        position = Counter(n_steps - 1, "segment_length", n_steps)
        super().__init__(input_dim, d_model, StateLayout(parts, {"written": None, "position": position}))
        self.n_memory_tokens, self.segment_length = n_tokens, n_steps
        self.embedding = orthogonal_linear(input_dim, d_model)
        self.first_memory = nn.Parameter(torch.randn(n_tokens, d_model))
        self.slot_embedding = nn.Parameter(SLOT_EMBEDDING_STD * torch.randn(2 * n_tokens + n_steps, d_model))
        d_ff = (settings.d_ff or d_model) if settings.feedforward else None
        self.layers = nn.ModuleList(
            Block(
                SegmentAttention(d_model, settings.n_heads, settings.d_head),
                d_model,
                d_ff,
                settings.residual,
                settings.gate_bias,
            )
            for _ in range(settings.n_layers)
        )
        # A sum of many sublayers has no fixed scale; a gate keeps that of its inputs.
        self.output_norm = nn.LayerNorm(d_model) if settings.residual == "sum" else nn.Identity()
        self.valve = MemoryRetentionValve(d_model, settings.n_heads, settings.d_head)
        self._hidden: Tensor
        self.register_buffer("_hidden", _hidden_slots(n_tokens, n_steps), persistent=False)

    def read(self, x: Tensor, state: dict[str, Tensor], is_first: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Read T steps; see :meth:`SequenceModel.forward`."""
        written = state["written"][:, 0] != 0
        carry = _Carry(
            memory=_select(written, state["memory"], self.first_memory),
            written=written,
            # No place for a position that is not finite: beside it, all is lost anyway.
            position=state["position"][:, 0].nan_to_num(0, 0, 0).long(),
            slots=[state[part] for part in self._slot_parts],
        )
        steps = torch.relu(self.embedding(x))
        if x.shape[1] == 1:
            y, carry = self._read_step(steps, carry, is_first)
        elif is_first is not None and in_graph():
            y, carry = self._read_steps(steps, carry, is_first)
        else:
            y, carry = self._read_segments(steps, carry, is_first)
        new_state = {
            "memory": _select(carry.written, carry.memory, torch.zeros_like(carry.memory)),
            "written": carry.written.to(x.dtype).unsqueeze(1),
            "position": carry.position.to(x.dtype).unsqueeze(1),
        }
        return self.output_norm(y), new_state | dict(zip(self._slot_parts, carry.slots, strict=True))

    def _read_segments(self, steps: Tensor, carry: _Carry, is_first: Tensor | None) -> tuple[Tensor, _Carry]:
        """Read embedded steps [B, T, D], one segment of all rows after the other."""
        n_tokens, n_steps = self.n_memory_tokens, self.segment_length
        grid = SegmentGrid(carry.position, is_first, steps.shape[1], n_steps)
        to_read, at_steps, to_write = self.slot_embedding.split([n_tokens, n_steps, n_tokens])
        place = torch.arange(n_tokens + n_steps + n_tokens, device=steps.device)

        begun = grid.slot[:, 0].unsqueeze(1)
        keep = ((place < n_tokens + begun) & (begun > 0)).unsqueeze(-1)
        remembered: Sequence[Tensor | None] = [nn.functional.pad(part, (0, 0, 0, n_tokens)) for part in carry.slots]
        position = (grid.slot[:, -1] + 1) % n_steps
        taken = (place[:-n_tokens] < n_tokens + position.unsqueeze(1)) & (position > 0).unsqueeze(1)

        memory, written, outputs = carry.memory, carry.written, []
        slots = [torch.zeros_like(part) for part in carry.slots]
        for g, segment in enumerate((grid.place(steps) + at_steps).unbind(1)):
            memory = _select(grid.restarts[:, g], self.first_memory, memory)
            tokens = torch.cat([memory + to_read, segment, memory + to_write], dim=1)
            h, seen = self._transform(tokens, remembered, keep, self._hidden)
            _, read, to_remember = h.split([n_tokens, n_steps, n_tokens], dim=1)
            outputs.append(read)
            memory = _select(grid.finished[:, g], self.valve(memory, to_remember), memory)
            written = grid.finished[:, g] | (written & ~grid.restarts[:, g])
            ends = ((grid.last == g).unsqueeze(1) & taken).unsqueeze(-1)
            slots = [torch.where(ends, part[:, :-n_tokens], last) for part, last in zip(seen, slots, strict=True)]
            remembered = [None] * len(self.layers)
        return grid.collect(torch.stack(outputs, dim=1)), _Carry(memory, written, position, slots)

    def _read_steps(self, steps: Tensor, carry: _Carry, is_first: Tensor) -> tuple[Tensor, _Carry]:
        """Read embedded steps [B, T, D] one by one, of which any may begin a segment."""
        outputs = []
        for step, first in zip(steps.split(1, dim=1), is_first.split(1, dim=1), strict=True):
            y, carry = self._read_step(step, carry, first)
            outputs.append(y)
        return torch.cat(outputs, dim=1), carry

    def _read_step(self, step: Tensor, carry: _Carry, is_first: Tensor | None) -> tuple[Tensor, _Carry]:
        """Read one embedded step [B, 1, D]; memory tokens are run only for the rows that begin or end a segment."""
        n_tokens, n_steps = self.n_memory_tokens, self.segment_length
        memory, written, position, slots = carry.memory, carry.written, carry.position, carry.slots
        if is_first is not None:
            first = is_first[:, 0]
            memory, written, position = _select(first, self.first_memory, memory), written & ~first, position * ~first
            slots = [part.masked_fill(first[:, None, None], 0) for part in slots]
        to_read, at_steps, to_write = self.slot_embedding.split([n_tokens, n_steps, n_tokens])

        begin = Rows(position == 0)
        if begin:
            _, seen = self._transform(begin.take(memory) + to_read, [None] * len(slots), None, None)
            seen = [nn.functional.pad(part, (0, 0, 0, n_steps)) for part in seen]
            slots = [begin.put(part, tokens) for part, tokens in zip(slots, seen, strict=True)]

        own, place = n_tokens + position.unsqueeze(1), torch.arange(n_tokens + n_steps, device=step.device)
        keep, hidden = (place != own).unsqueeze(-1), (place > own)[:, None, None]
        y, slots = self._transform(step + at_steps[position].unsqueeze(1), slots, keep, hidden)

        ends = position == n_steps - 1
        end = Rows(ends)
        if end:
            old = end.take(memory)
            to_remember, _ = self._transform(old + to_write, [end.take(part) for part in slots], None, None)
            memory = end.put(memory, self.valve(old, to_remember))
            written = written | ends
            slots = [part.masked_fill(ends[:, None, None], 0) for part in slots]
        return y, _Carry(memory, written, (position + 1) % n_steps, slots)

    def _transform(
        self, tokens: Tensor, remembered: Sequence[Tensor | None], keep: Tensor | None, hidden: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run tokens through all layers; see :meth:`SegmentAttention.forward`. Returns their outputs and the slots."""
        slots = []
        for layer, part in zip(self.layers, remembered, strict=True):
            tokens, seen = layer(tokens, part, keep, hidden)
            slots.append(seen)
        return tokens, slots


class MemoryRetentionValve(nn.Module):
    """The cross-attention that decides what of the old memory stays: MultiHead(Q = m, K = V = relu(LayerNorm m')).

    It starts by keeping: with W_k = W_q and W_o = W_vᵀ each token finds itself and is handed on as it is, where random
    projections would mix all tokens again with every segment, and lose in a few what has to last for many.

    Args:
        d_model: D.
        n_heads: Attention heads.
        d_head: Width of a head.
    """

    def __init__(self, d_model: int, n_heads: int, d_head: int):
        super().__init__()
        self.norm = nn.LayerNorm(d_model, eps=1e-6)
        self.attention = MultiHeadAttention(d_model, n_heads, d_head)
        with torch.no_grad():
            self.attention.key.weight.copy_(self.attention.query.weight)
            self.attention.output.weight.copy_(self.attention.value.weight.T)

    def forward(self, memory: Tensor, written: Tensor) -> Tensor:
        """Return the next memory, given the old one m and what was written m', all [B, N, D]."""
        return self.attention(memory, torch.relu(self.norm(written)))


def _select(rows: Tensor, chosen: Tensor, otherwise: Tensor) -> Tensor:
    return torch.where(rows[:, None, None], chosen, otherwise)


def _hidden_slots(n_memory_tokens: int, segment_length: int) -> Tensor:
    """Return [P, P] booleans, true where a token does not see a slot, for [m ; segment ; m'] in a row."""
    n_slots = 2 * n_memory_tokens + segment_length
    hidden = torch.ones(n_slots, n_slots, dtype=torch.bool).triu(diagonal=1)
    hidden[:n_memory_tokens, :n_memory_tokens] = False
    hidden[-n_memory_tokens:] = False
    return hidden
