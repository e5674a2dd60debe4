"""What might have stood in the place of an observation: that of the same step of other episodes, or zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import tree

from rllib_recattn.errors import SettingsError

Source = Literal["episodes", "zeros"]


class Replacements:
    """Other observations for each step of an episode.

    Args:
        observations: Those of the episode, [1, T, …] or a nesting of such tensors, as the module was given them.
        others: Those of other episodes likewise, of any length.
        source: "episodes": what others showed at the same step, where it differs; zeros where nothing does. "zeros":
            zeros everywhere.
    """

    def __init__(self, observations: Any, others: Sequence[Any], source: Source = "episodes"):
        if source not in ("episodes", "zeros"):
            raise SettingsError(f"replace_with = {source!r}: should be 'episodes' or 'zeros'")
        self._observations = observations
        self._others = list(others) if source == "episodes" else []

    def of(self, step: int) -> tuple[Any, bool]:
        """Return what may stand at a step.

        Returns:
            K ≥ 1 observations [1, K, …], nested likewise; and whether they are other episodes', not zeros.
        """
        own = _at(self._observations, step)
        different = [each for each in (_at(other, step) for other in self._others) if _differs(each, own)]
        if not different:
            return tree.map_structure(torch.zeros_like, own), False
        return tree.map_structure(lambda *leaves: torch.cat(leaves, dim=1), *different), True


def _at(observations: Any, step: int) -> Any:
    """Return the observation of a step [1, 1, …]; [1, 0, …] after the end."""
    return tree.map_structure(lambda leaf: leaf[:, step : step + 1], observations)


def _differs(observation: Any, own: Any) -> bool:
    pairs = list(zip(tree.flatten(observation), tree.flatten(own), strict=True))
    is_there = all(leaf.shape == of_own.shape for leaf, of_own in pairs)
    return is_there and any(not torch.equal(leaf, of_own) for leaf, of_own in pairs)
