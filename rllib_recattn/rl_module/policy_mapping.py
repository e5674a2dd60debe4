"""Which policy decides for an agent, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from rllib_recattn.errors import SettingsError


class PolicyMapping:
    """A ``policy_mapping_fn`` of RLlib's that survives pickling and checkpoints.

    Args:
        mapping: An agent's id, or a glob pattern of ids (``*``, ``?``, ``[…]``), → the name of its policy. An id wins
            over patterns, and of patterns the first that fits. Ids that are numbers are written as strings.
    """

    def __init__(self, mapping: Mapping[str, str]):
        self.mapping = dict(mapping)

    def __call__(self, agent_id: Any, *args: Any, **kwargs: Any) -> str:
        """Return the policy of an agent; of the episode and what else RLlib says, nothing is asked.

        Raises:
            SettingsError: If nothing fits the agent.
        """
        policy = self.find(agent_id)
        if policy is None:
            raise SettingsError(
                f"multi_agent.mapping: no policy for the agent {agent_id!r}; should name it, or have a pattern that "
                f"fits, such as '*': {', '.join(map(repr, self.mapping))}"
            )
        return policy

    def find(self, agent_id: Any) -> str | None:
        """Return the policy of an agent, None if nothing fits it."""
        text = str(agent_id)
        if text in self.mapping:
            return self.mapping[text]
        return next((policy for pattern, policy in self.mapping.items() if fnmatchcase(text, pattern)), None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PolicyMapping) and other.mapping == self.mapping

    def __hash__(self) -> int:
        return hash(tuple(self.mapping.items()))

    def __repr__(self) -> str:
        return f"PolicyMapping({self.mapping!r})"
