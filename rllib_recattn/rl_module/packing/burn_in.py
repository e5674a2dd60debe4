"""Steps at the beginning of a row that only warm its state up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tree
from ray.rllib.core.columns import Columns
from torch import Tensor


def without_burn_in(batch: Mapping[str, Any], starts: Tensor, burn_in: int) -> dict[str, Any]:
    """Leave the first steps of rows that continue an episode out of the loss.

    The state with which such a row begins comes from older weights than those that learn from it. Over the first steps
    the new weights write over what the old ones left (Kapturowski et al., 2019, "Recurrent Experience Replay in
    Distributed Reinforcement Learning", section 3). Advantages and value targets are those of all steps. Of a model
    without a state, which has nothing to warm up, no step is left out.

    Args:
        batch: A train batch in RLlib's rows. Not changed.
        starts: Which rows start an episode [B]; their state is the same for all weights.
        burn_in: How many steps of the other rows are left out.

    Returns:
        The columns of the batch, with a loss mask of its own if need be.
    """
    if burn_in == 0 or not any(state.numel() for state in tree.flatten(batch[Columns.STATE_IN])):
        return dict(batch)
    mask = batch[Columns.LOSS_MASK].clone()
    mask[~starts, :burn_in] = False
    return {**batch, Columns.LOSS_MASK: mask}
