"""What is known of an episode that was played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        seed: What the environment was reset with.
        episode_return: The sum of the rewards, of all agents.
        length: The number of steps.
        success: Whether it succeeded; None if the environment does not say.
        agent_returns: Where there are several agents, an agent's id → the sum of its rewards.
        policy_returns: Likewise, a policy's name → the sum of the rewards of the agents that it decided for.
    """

    seed: int
    episode_return: float
    length: int
    success: bool | None
    agent_returns: Mapping[str, float] = field(default_factory=dict)
    policy_returns: Mapping[str, float] = field(default_factory=dict)
