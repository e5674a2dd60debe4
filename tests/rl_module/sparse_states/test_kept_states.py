"""What one agent's states are in one chunk of an episode."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from rllib_recattn.rl_module.sparse_states.kept_states import INITIAL, KeptStates


def state_after(step):
    return {"state": np.full(2, step, np.float32)}


def acted(steps, *, max_seq_len=3, t_started=0, states=None):
    states = KeptStates() if states is None else states
    for step in range(steps):
        states.record(t_started, step, max_seq_len, state_after(t_started + step))
    return states


def value(state):
    return state if isinstance(state, str) else float(state["state"][0])


@pytest.mark.parametrize("steps", range(1, 9))
def test_the_learner_finds_the_states_before_its_rows(steps):
    states = acted(steps)
    for kept in (states, pickle.loads(pickle.dumps(states)), copy.deepcopy(states)):
        before = [value(kept.before(0, step, 3)) for step in range(0, steps + 1, 3)]
        assert before == [INITIAL, *range(2, steps, 3)]


def test_the_next_chunk_goes_on_where_the_one_before_ended():
    states = acted(4, t_started=5, states=acted(5))
    assert [value(states.before(5, step, 3)) for step in (0, 3)] == [4, 7]


def test_an_action_that_waited_for_its_outcome_when_the_chunk_was_cut():
    states = acted(5)
    states.enter_chunk(4)  # the fifth step is the first of the new chunk
    assert value(states.before(4, 0, 3)) == 3
    states.record(4, 1, 3, state_after(5))
    assert value(states.before(4, 0, 3)) == 3


def test_what_is_kept_for_long_does_not_keep_the_states_of_all_environments():
    """RLlib hands out views into an array of the states of all environments, of which a new one is made each step."""
    states = KeptStates()
    for step in range(7):
        of_all_environments = np.full((5, 2), step, np.float32)
        states.record(0, step, 3, {"state": of_all_environments[1]})
        of_all_environments[:] = np.nan
    assert len(states["rows"]) == 3
    for kept in states["rows"][1:]:
        assert kept["state"].base is None
        assert np.isfinite(kept["state"]).all()


def test_a_copy_does_not_see_later_steps():
    states = acted(2, max_seq_len=1)
    earlier = copy.deepcopy(states)
    states.record(0, 2, 1, state_after(2))
    assert len(earlier["rows"]) == 2
    assert earlier["rows"][1]["state"] is states["rows"][1]["state"]


def test_what_the_learner_does_not_ask_for_is_not_shipped():
    assert pickle.loads(pickle.dumps(acted(4)))["newest"] is None
    assert pickle.loads(pickle.dumps(acted(3)))["newest"] is not None


def test_steps_that_did_not_come_from_the_module_are_refused():
    states = acted(2)
    with pytest.raises(ValueError, match="did not come from the module"):
        states.record(0, 6, 3, state_after(6))


@pytest.mark.parametrize(("t_started", "step", "max_seq_len"), [(1, 0, 3), (0, 6, 3), (0, 0, 4)])
def test_states_that_are_not_kept_are_refused(t_started, step, max_seq_len):
    with pytest.raises(ValueError, match="recurrent states: the learner asks for"):
        acted(5).before(t_started, step, max_seq_len)
