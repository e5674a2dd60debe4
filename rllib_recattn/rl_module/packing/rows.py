"""Which rows of a train batch fit behind one another, and a batch in such rows.

Shape suffixes: B rows as RLlib makes them, P rows when packed, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import tree
from ray.rllib.core.columns import Columns
from torch import Tensor

# The column [P, T] that is true where a chunk begins behind another one.
IS_FIRST = "is_first"


class PackedRows:
    """An arrangement of the rows of a train batch, one behind the other.

    Args:
        lengths: The steps that count in each row [B]; what comes after them is left out.
        groups: P lists of rows that become one row each, in this order. Those that are in no list are left out.
        max_seq_len: T.
    """

    def __init__(self, lengths: Tensor, groups: Sequence[Sequence[int]], max_seq_len: int):
        device = lengths.device
        self._unpacked_shape, self._packed_shape = (len(lengths), max_seq_len), (len(groups), max_seq_len)
        self._leading_rows = torch.tensor([group[0] for group in groups], device=device)
        rows = torch.tensor([row for group in groups for row in group], device=device)
        group_of_row = torch.tensor([p for p, group in enumerate(groups) for _ in group], device=device)
        lengths = lengths[rows].long()
        self._seq_lens = torch.zeros(len(groups), dtype=torch.long, device=device).index_add(0, group_of_row, lengths)
        steps_before = lengths.cumsum(0) - lengths
        offset_in_row = steps_before - (self._seq_lens.cumsum(0) - self._seq_lens)[group_of_row]
        start = group_of_row * max_seq_len + offset_in_row
        step = torch.arange(int(lengths.sum()), device=device) - steps_before.repeat_interleave(lengths)
        self._unpacked_slots = (rows * max_seq_len).repeat_interleave(lengths) + step  # in B·T
        self._packed_slots = start.repeat_interleave(lengths) + step  # in P·T
        self._is_first = torch.zeros(self._packed_shape, dtype=torch.bool, device=device)
        self._is_first.view(-1)[start[offset_in_row > 0]] = True

    def pack(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns [B, T, …] of a batch as [P, T, …], zero where there is nothing, and ``is_first``."""
        packed = {}
        for name, column in batch.items():
            if name == Columns.STATE_IN:
                packed[name] = tree.map_structure(lambda leaf: leaf[self._leading_rows], column)
            elif name == Columns.SEQ_LENS:
                packed[name] = self._seq_lens.to(column.dtype)
            else:
                packed[name] = tree.map_structure(self._pack, column)
        return {**packed, IS_FIRST: self._is_first}

    def unpack(self, packed: Tensor) -> Tensor:
        """Return what a model made of packed rows [P, T, …] where RLlib expects it [B, T, …], zero elsewhere."""
        return _move(packed, self._packed_slots, self._unpacked_slots, self._unpacked_shape)

    def _pack(self, column: Tensor) -> Tensor:
        return _move(column, self._unpacked_slots, self._packed_slots, self._packed_shape)


def _move(source: Tensor, source_slots: Tensor, target_slots: Tensor, target_shape: tuple[int, int]) -> Tensor:
    target = source.new_zeros(target_shape[0] * target_shape[1], *source.shape[2:])
    return target.index_put((target_slots,), source.flatten(0, 1)[source_slots]).unflatten(0, target_shape)


def can_be_packed(batch: Mapping[str, Any]) -> bool:
    """Whether a train batch of one module is in RLlib's rows, and all of its columns can be moved to others."""
    if IS_FIRST in batch or not {Columns.STATE_IN, Columns.SEQ_LENS, Columns.LOSS_MASK} <= batch.keys():
        return False
    columns = [column for name, column in batch.items() if name not in (Columns.STATE_IN, Columns.SEQ_LENS)]
    shape = batch[Columns.LOSS_MASK].shape
    return all(isinstance(leaf, Tensor) and leaf.shape[:2] == shape for leaf in tree.flatten(columns))


def arrange(lengths: Tensor, starts: Tensor, max_seq_len: int) -> PackedRows | None:
    """Put the rows of a train batch behind one another.

    Args:
        lengths: The steps that count in each row [B].
        starts: Whether the row may stand behind another one [B]; see :func:`starts_episode`.
        max_seq_len: T.

    Returns:
        The arrangement. A row that runs on in the next one, which V-trace needs for the value after its last step, does
        so still. None if no row becomes superfluous.
    """
    groups = fit(lengths.tolist(), starts.tolist(), max_seq_len)
    return PackedRows(lengths, groups, max_seq_len) if 0 < len(groups) < len(lengths) else None


def fit(lengths: Sequence[int], starts: Sequence[bool], max_seq_len: int) -> list[list[int]]:
    """Group rows that fit into one: longest first, each where it leaves the least room ("best fit, decreasing").

    Args:
        lengths: The steps in each row; rows with none are left out.
        starts: Whether the row may stand behind another one.
        max_seq_len: The steps that fit into one.

    Returns:
        Lists of rows, in the order of their first ones.
    """
    groups: list[list[int]] = []
    by_room: list[list[list[int]]] = [[] for _ in range(max_seq_len + 1)]
    for row in sorted(range(len(lengths)), key=lambda row: (starts[row], -lengths[row])):
        length = lengths[row]
        if length == 0:
            continue
        room = next((room for room in range(length, max_seq_len) if starts[row] and by_room[room]), max_seq_len)
        if room == max_seq_len:
            groups.append([])
            by_room[room].append(groups[-1])
        group = by_room[room].pop()
        group.append(row)
        by_room[room - length].append(group)
    return sorted(groups)


def starts_episode(batch: Mapping[str, Any], initial_state: Any, whole_episodes: bool = False) -> Tensor:
    """Tell which rows of a train batch start an episode, so that ``is_first`` says all that their state does.

    Args:
        batch: In RLlib's rows.
        initial_state: The module's, with leaves [S].
        whole_episodes: Whether each row is known to hold a whole episode, as those of BC and MARWIL do. BC's batches
            have no appended steps, so that a full row would look like one that goes on.

    Returns:
        [B], true where the row does not go on from the one before, and its state is the initial one to the bit.
    """
    starts = torch.ones_like(batch[Columns.LOSS_MASK][:, 0], dtype=torch.bool)
    if not whole_episodes:
        # A chunk ends with a step without loss, which RLlib appends: a row that ends otherwise goes on in the next one.
        starts[1:] = ~batch[Columns.LOSS_MASK][:-1, -1].bool()
    for state, initial in zip(tree.flatten(batch[Columns.STATE_IN]), tree.flatten(initial_state), strict=True):
        starts &= (state == initial.to(state.device)).flatten(1).all(1)
    return starts
