"""What is given to an agent besides observations, checked before anything is remembered.

Shape suffixes: B rows, S numbers of state, P numbers of a previous action and reward.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rllib_recattn.agents.state import AgentState
from rllib_recattn.errors import SettingsError, shown
from rllib_recattn.inputs.masks import ActionMask


def checked_device(device: str | torch.device) -> torch.device:
    """Return a device on which PyTorch computes here.

    Raises:
        SettingsError: If it is none.
    """
    reason = "it holds no numbers"
    try:
        checked = torch.device(device)
        torch.empty(0, device=checked)
    except Exception as error:  # each device has its own, when its package is missing
        reason = next(iter(str(error).splitlines()), type(error).__name__)
    else:
        if checked.type != "meta":
            return checked
    raise SettingsError(f"device = {device!r}: should be one that PyTorch has here, such as 'cpu': {reason}")


def whole_number(value: Any, least: int, below: int | None = None) -> int | None:
    """Return a whole number, also one of NumPy's, as Python's; None if it is none, or too small or large."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return None
    number = int(value)
    return number if number >= least and (below is None or number < below) else None


def check_mask(mask: ActionMask, observations: Any) -> None:
    """Refuse to act where an action mask allows nothing.

    Args:
        mask: The mask.
        observations: Tensors [B, …], nested like the observation space.

    Raises:
        SettingsError: If there is such a row, with its number.
    """
    dead = np.flatnonzero(mask.dead_ends({mask.key: observations[mask.key].cpu()}))
    if len(dead):
        raise mask.no_action("observation" if len(observations[mask.key]) == 1 else f"observation of row {dead[0]}")


def check_fits(n_rows: int, size: int) -> None:
    """Refuse more rows than there is memory for, rather than to let the system end the process that asks for it.

    Args:
        n_rows: B.
        size: Bytes of a row's state; a step holds that before it and that after it.

    Raises:
        SettingsError: If they are more than this machine has.
    """
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return
    if 2 * n_rows * size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise SettingsError(f"n_rows = {n_rows}: there is not enough memory for the states of so many rows")


def chosen_rows(rows: Any, n_rows: int) -> np.ndarray:
    """Return booleans [B] of rows that are given by their numbers or as booleans.

    Raises:
        SettingsError: If there is no such row.
    """
    try:
        given = np.asarray(rows.detach().cpu() if isinstance(rows, Tensor) else rows)
    except (ValueError, TypeError, OverflowError):  # rows of different lengths
        given = np.empty(1, object)
    if given.dtype == bool and given.shape == (n_rows,):
        return given
    if given.ndim == 1 and given.size == 0:
        return np.zeros(n_rows, bool)
    whole = given.ndim == 1 and given.dtype.kind in "iu"
    if not whole or given.min() < 0 or given.max() >= n_rows:
        raise SettingsError(f"rows = {rows!r}: should be numbers from 0 to {n_rows - 1}, or {n_rows} booleans")
    which = np.zeros(n_rows, bool)
    which[given] = True
    return which


def checked_rewards(reward: Any, begun: np.ndarray) -> np.ndarray:
    """Return rewards [B] as float32, 0 for rows [B] whose episode has not begun.

    Raises:
        SettingsError: If they are not a finite number for each row.
    """
    n_rows = len(begun)
    try:
        given = np.asarray(reward.detach().cpu() if isinstance(reward, Tensor) else reward)
    except (TypeError, ValueError, RuntimeError):
        given = np.empty(0)
    right = given.dtype.kind in "biuf" and given.shape in {(n_rows,), *([()] if n_rows == 1 else [])}
    if right:
        with np.errstate(over="ignore"):
            numbers: np.ndarray = np.where(begun, given.astype(np.float32), np.float32(0))
        if np.isfinite(numbers).all():
            return numbers
    wanted = f"{n_rows} finite numbers, one for each row" if n_rows > 1 else "a finite number"
    raise SettingsError(f"reward = {shown(reward)}: should be {wanted} of float32")


def check_state(state: Any, sizes: Sequence[int], previous_size: int, device: torch.device) -> None:
    """Refuse a state that is not of an agent.

    Args:
        state: What was given as one.
        sizes: S of each memory.
        previous_size: P.
        device: Where the agent computes.

    Raises:
        SettingsError: With what is wrong with it.
    """
    wanted = "should be one that initial_state or step of this agent returned"
    if not isinstance(state, AgentState):
        raise SettingsError(f"state: is a {type(state).__name__}; {wanted}")
    there = [list(memory.shape) for memory in state.memories]
    shapes = [[state.n_rows, size] for size in sizes]
    if there != shapes:
        raise SettingsError(f"state: has memories of shapes {there}, this agent of {shapes}; {wanted}")
    previous = [] if state.previous is None else list(state.previous.shape)
    shape = [state.n_rows, previous_size] if previous_size else []
    if previous != shape:
        raise SettingsError(f"state: has a previous action of shape {previous}, this agent of {shape}; {wanted}")
    if any(memory.device.type != device.type for memory in state.memories):
        raise SettingsError(f"state: is on the device {state.memories[0].device}, this agent on {device}; {wanted}")


def check_computed(logits: Tensor, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    """Refuse a step whose results are no numbers, rather than to remember them.

    Raises:
        SettingsError: If logits are not finite, or memories are not that were before it.
    """
    # Sums are finite only of finite numbers, and quick; what they do not settle is looked at number by number.
    total = logits.sum().item()
    for memory in after:
        total += memory.sum().item()
    if math.isfinite(total):
        return
    good = bool(torch.isfinite(logits).all())
    for old, new in zip(before, after, strict=True):
        lost = torch.isnan(new) | (~torch.isfinite(new) & torch.isfinite(old))
        good = good and not bool(lost.any())
    if not good:
        raise SettingsError(
            "observation: the agent computes NaN or infinity from it, which it would never forget; its numbers are too "
            "large"
        )
