"""Playing an episode and keeping what the agent was given and gave at every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tree
from ray.rllib.core.columns import Columns
from torch import Tensor

from rllib_recattn.experiment.evaluation.new_stack import NewStackPlayer
from rllib_recattn.experiment.evaluation.video import Frames
from rllib_recattn.success import SUCCESS


@dataclass(frozen=True)
class Recording:
    """An episode of T steps.

    Attributes:
        batch: What the module was given, by column, nested as in RLlib's batches: observations [1, T, …] and what else
            it reads, and the state before the first step [1, …].
        states: The state after each step, nested likewise [T, …].
        logits: Parameters of the action distribution [T, K].
        actions: What was done, [T, …] or a nesting of such arrays.
        rewards: [T].
        observations: What the environment showed, before any connector: T of them.
        frames: Its pictures before each step and after the last, T + 1 of them; none where it cannot be filmed.
        success: Whether the episode succeeded; None if the environment does not say.
    """

    batch: dict[str, Any]
    states: Any
    logits: Tensor
    actions: Any
    rewards: np.ndarray
    observations: list[Any]
    frames: list[np.ndarray]
    success: bool | None

    def __len__(self) -> int:
        return len(self.rewards)


def record(player: NewStackPlayer, seed: int, explore: bool, film: Frames | None = None) -> Recording:
    """Play one episode, which the seed determines.

    Args:
        player: The agent; one whose module has a state.
        seed: The seed of the environment and of the actions.
        explore: Whether to sample actions, as in training, rather than to take the most likely ones.
        film: What the player was told to collect frames in, if it was.
    """
    if film is not None:
        film.frames.clear()
        film.recording = True
    with _calls_of(player.module) as calls:
        episode = player.sample(seed, explore)
    if film is not None:
        film.recording = False
    # An environment that failed was reset, and the episode begun again.
    given, outputs = zip(*calls[-len(episode) :], strict=True)
    first_state = given[0][Columns.STATE_IN]
    columns = {name: [each[name] for each in given] for name, value in given[0].items() if _is_input(name, value)}
    success = episode.get_infos(-1).get(SUCCESS)
    return Recording(
        batch={name: _joined(steps, dim=1) for name, steps in columns.items()} | {Columns.STATE_IN: first_state},
        states=_joined([each[Columns.STATE_OUT] for each in outputs], dim=0),
        logits=_joined([each[Columns.ACTION_DIST_INPUTS] for each in outputs], dim=1)[0],
        actions=episode.get_actions(),
        rewards=np.asarray(episode.get_rewards(), dtype=np.float64),
        observations=[episode.get_observations(t) for t in range(len(episode))],
        frames=[] if film is None else list(film.frames[-len(episode) - 1 :]),
        success=None if success is None else bool(success),
    )


@contextmanager
def _calls_of(module: Any) -> Iterator[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """List what a module is given and gives while it acts."""
    calls = []
    names = ("forward_inference", "forward_exploration")

    def listening(forward: Any) -> Any:
        def call(batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            outputs = forward(batch, **kwargs)
            # Connectors go on to change these dicts.
            calls.append((dict(batch), dict(outputs)))
            return outputs

        return call

    for name in names:
        setattr(module, name, listening(getattr(module, name)))
    try:
        yield calls
    finally:
        for name in names:
            delattr(module, name)


def _is_input(name: str, value: Any) -> bool:
    """Tell whether a column of a batch holds tensors of one row and one step, as what a module reads does."""
    leaves = tree.flatten(value)
    return name != Columns.STATE_IN and all(isinstance(leaf, Tensor) and leaf.shape[:2] == (1, 1) for leaf in leaves)


def _joined(steps: list[Any], dim: int) -> Any:
    return tree.map_structure(lambda *leaves: torch.cat(leaves, dim=dim).detach().clone(), *steps)
