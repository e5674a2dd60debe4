"""What a memory can learn, supervised, in a minute on one core; imports no Ray."""

BUDGET = 300
"""The most updates for a model and a task, if nothing else is said."""

PARAMETERS = 50_000
"""How many parameters each model is to have, likewise."""
