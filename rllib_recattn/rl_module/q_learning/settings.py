"""What a user can say of recurrent Q-learning besides RLlib's own settings. Loads no RLlib."""

from __future__ import annotations

from pydantic import Field

from rllib_recattn.errors import Settings, validate


class QLearningSettings(Settings):
    """Settings of recurrent DQN that RLlib's config has no place for; names of R2D2 are in brackets."""

    value_rescaling: bool = Field(
        False,
        description="whether Q-values are those of h(x) = sign(x) (√(|x| + 1) − 1) + 0.001 x, for returns of all sizes",
    )
    priority_max_share: float = Field(
        0.9,
        ge=0,
        le=1,
        description="share of the largest TD error of a sequence in its priority (η); the rest is that of their mean",
    )
    epsilon_spread: float = Field(
        0.0,
        ge=0,
        description="environment i of all N explores with ε^(1 + i/(N − 1) · this), so that some explore little (α)",
    )


DEFAULTS = validate(QLearningSettings, {}, "q_learning")


def steps_between_states(max_seq_len: int, burn_in: int) -> int:
    """Return how many steps of a sequence have a loss, and after how many the next one begins.

    Args:
        max_seq_len: Steps of a row, the one included from which the others bootstrap.
        burn_in: Those at its beginning that have no loss.
    """
    return max_seq_len - 1 - burn_in
