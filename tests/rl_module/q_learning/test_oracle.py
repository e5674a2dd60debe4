"""What the learner of recurrent DQN sees, held to a replay of each episode from its initial state."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

from rllib_recattn.rl_module.q_learning import sequences
from tests.rl_module.q_learning.cases import draw
from tests.rl_module.q_learning.oracle import check

QUICK = range(100, 150)
SLOW = range(1000, 1000 + int(os.environ.get("ORACLE_CONFIGS", "200")))


@pytest.mark.parametrize("seed", QUICK)
def test_sequences_agree_with_a_replay_of_each_episode(tmp_path, seed):
    case = draw(seed)
    case = dataclasses.replace(case, n_fragments=min(case.n_fragments, 3), num_envs=min(case.num_envs, 2), n_sampled=8)
    assert not check(case, tmp_path)[0], case


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
def test_many_sequences_agree_with_a_replay_of_each_episode(tmp_path, seed):
    case = draw(seed)
    assert not check(case, tmp_path)[0], case


def test_the_configs_cover_what_there_is():
    cases = [draw(seed) for seed in SLOW]
    for field in dataclasses.fields(cases[0])[:-1]:
        assert len({getattr(case, field.name) for case in cases}) > 1, field.name


def _shifted_state(monkeypatch):
    def read(self, *args):
        sequence = cut(self, *args)
        is_first = isinstance(sequence.state, str)
        return sequence if is_first else dataclasses.replace(sequence, state={"state": sequence.state["state"] + 0.1})

    cut = sequences.OpenEpisode._cut
    monkeypatch.setattr(sequences.OpenEpisode, "_cut", read)


def _other_observations(monkeypatch):
    monkeypatch.setattr(sequences, "_with_last_again", lambda nested: np.concatenate([nested[:1], nested]))


def _forgotten_ends(monkeypatch):
    cut = sequences.OpenEpisode._cut
    monkeypatch.setattr(
        sequences.OpenEpisode, "_cut", lambda self, *args: dataclasses.replace(cut(self, *args), terminated=False)
    )


@pytest.mark.parametrize(
    ("fault", "seen"),
    [(_shifted_state, "state"), (_other_observations, "steps do not follow"), (_forgotten_ends, "loss")],
)
def test_the_oracle_sees_what_is_wrong(tmp_path, monkeypatch, fault, seen):
    """It could agree with everything otherwise."""
    case = dataclasses.replace(
        draw(100), model="gru", size=0, max_seq_len=6, lengths="mixed", n_fragments=9, fragment_length=7, frames=1
    )
    assert check(case, tmp_path / "right")[0] == []
    fault(monkeypatch)
    problems, _ = check(case, tmp_path / "wrong")
    assert any(seen in problem for problem in problems), problems
