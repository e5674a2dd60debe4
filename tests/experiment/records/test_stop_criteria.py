"""Which stop criteria are goals, and which only count effort."""

from __future__ import annotations

import pytest

from rllib_recattn.experiment.records.stop_criteria import StopCriterion


@pytest.mark.parametrize(
    ("key", "is_budget"),
    [
        ("training_iteration", True),
        ("time_total_s", True),
        ("env_runners/num_episodes_lifetime", True),
        ("num_env_steps_sampled_lifetime", True),
        ("learners/default_policy/num_module_steps_trained_lifetime", True),
        ("env_runners/num_agent_steps_sampled_lifetime/default_agent", True),
        ("env_runners/episode_return_mean", False),
        ("evaluation/env_runners/success_rate", False),
    ],
)
def test_effort_is_told_from_goals(key, is_budget):
    assert StopCriterion(key, 1.0, 1.0).is_budget is is_budget
