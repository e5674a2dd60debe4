"""Policies by agents' ids and patterns."""

from __future__ import annotations

import pickle

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.rl_module.policy_mapping import PolicyMapping


@pytest.mark.parametrize(
    ("agent", "policy"),
    [("walker_1", "special"), ("walker_2", "walkers"), ("jumper", "rest"), (3, "numbered"), ("walker_12", "rest")],
)
def test_ids_win_over_patterns_and_the_first_pattern_over_others(agent, policy):
    mapping = PolicyMapping({"walker_?": "walkers", "3": "numbered", "*": "rest", "walker_1": "special"})
    assert mapping(agent, None, some_future_argument=1) == policy
    assert pickle.loads(pickle.dumps(mapping)) == mapping


def test_an_agent_that_nothing_fits_is_an_error():
    with pytest.raises(SettingsError, match="no policy for the agent 'other'"):
        PolicyMapping({"a*": "p"})("other", None)
