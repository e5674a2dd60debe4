"""What is known of an episode that was played."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        seed: What the environment was reset with.
        episode_return: The sum of the rewards.
        length: The number of steps.
        success: Whether it succeeded; None if the environment does not say.
    """

    seed: int
    episode_return: float
    length: int
    success: bool | None
