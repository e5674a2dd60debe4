"""Which memory for a task: models compared at equal parameters, on an experiment of the user's own."""

SEEDS = 3
"""How many seeds each model is trained with, if nothing else is said."""

EPISODES = 200
"""How many greedy episodes score a trained policy, likewise; no fewer."""

RATES = 3
"""How many learning rates are searched, likewise."""

SEARCH_SHARE = 0.5
"""Which share of the budget a run of the search gets, likewise."""

INTERVALS_FROM = 5
"""From how many seeds on there are intervals; a bootstrap of fewer is little more than their range."""

SIGNIFICANCE = 0.05
"""How often a comparison of equal models may claim a difference."""
