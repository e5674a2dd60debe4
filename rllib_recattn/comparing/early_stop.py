"""When a run may end that has not solved its task: a rule that can neither hide a winner nor be held against a loser.

Once every seed of some model has solved the task, at least two of them, a run of any model that has not is ended when
it has used four times as many steps as the slowest of these. By then it has lost against each of them; what it would
have come to is not known, and not assumed: it is censored there, and its score is compared with nobody's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rllib_recattn.comparing.outcomes import Outcome

PATIENCE = 4
"""How many times as many steps as the slowest seed of a model that has solved the task a run may use."""

_AT_LEAST = 2


def most_steps(ended: Mapping[str, Sequence[Outcome]], seeds: int) -> float:
    """Return after how many steps a run that has not solved the task is to end; infinity: with its budget.

    Args:
        ended: By a model's label, the runs that have ended.
        seeds: How many runs each model is to have.
    """
    slowest = [
        max(run.solved_steps for run in runs if run.solved_steps is not None)
        for runs in ended.values()
        if len(runs) >= max(seeds, _AT_LEAST) and all(run.solved_steps is not None for run in runs)
    ]
    return PATIENCE * min(slowest, default=math.inf)
