"""RLlib's algorithms that this package works with, and what each of them can do; nothing of Ray is imported here.

Their classes are in :mod:`rllib_recattn.rl_module.algorithms`, where an algorithm is entered too.
"""

from __future__ import annotations

from typing import NamedTuple


class Abilities(NamedTuple):
    """What an algorithm can do.

    Attributes:
        samples: Whether it samples episodes in the environment; else it learns from recorded ones.
        has_old_stack: Whether it works on RLlib's old API stack as well.
        takes_several_agents: Whether there may be several agents in an environment, or in an episode.
        has_policy: Whether its agents draw actions from a policy's distribution; else they take the best Q-value's.
    """

    samples: bool = True
    has_old_stack: bool = True
    takes_several_agents: bool = True
    has_policy: bool = True


_OFFLINE = Abilities(samples=False, has_old_stack=False, takes_several_agents=False)

ABILITIES = {
    "PPO": Abilities(),
    "APPO": Abilities(),
    "IMPALA": Abilities(),
    "DQN": Abilities(has_old_stack=False, takes_several_agents=False, has_policy=False),
    "BC": _OFFLINE,
    "MARWIL": _OFFLINE,
}
"""RLlib's name of an algorithm → what it can do."""


def abilities_of(name: object) -> Abilities:
    """Return what an algorithm can do; of a name that is none, what most of them can.

    Examples:
        >>> abilities_of("BC").samples
        False
    """
    return ABILITIES.get(name, Abilities()) if isinstance(name, str) else Abilities()


def with_policy() -> str:
    """List the algorithms whose agents have a policy, for messages.

    Examples:
        >>> with_policy()
        'PPO, APPO, IMPALA, BC, MARWIL'
    """
    return ", ".join(name for name, abilities in ABILITIES.items() if abilities.has_policy)
