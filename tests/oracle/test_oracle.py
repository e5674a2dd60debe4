"""Some of the oracle's configs, the same ones each time; ``python -m tests.oracle`` tries more.

ORACLE_CONFIGS in the environment is how many the slow tests try.
"""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch

from rllib_recattn.models.registry import model_names
from tests.oracle.cases import CONFIGS, MODELS, draw
from tests.oracle.harness import check

QUICK = range(100, 112)
SLOW = range(1000, 1000 + int(os.environ.get("ORACLE_CONFIGS", "100")))


@pytest.mark.parametrize("seed", [*QUICK, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SLOW)])
def test_batches_agree_with_a_replay_of_each_episode(tmp_path, seed):
    case = draw(seed)
    report = check(case, tmp_path)
    assert not report.problems, f"python -m tests.oracle --count 1 --seed {seed}: {case}"
    assert report.n_steps > 0 or case.burn_in


def test_every_model_of_the_catalog_is_tried(own_models):
    assert MODELS.keys() == set(model_names())


def test_the_configs_cover_every_algorithm_and_model():
    cases = [draw(seed) for seed in SLOW]
    assert {case.algorithm for case in cases} == set(CONFIGS)
    assert {model for case in cases for model in case.models} == {
        (name, variant) for name, variants in MODELS.items() for variant in range(len(variants))
    }
    for name in (
        "crowd",
        "mean_std_filter",
        "frames",
        "burn_in",
        "off_policy",
        "pack_rows",
        "sparse_states",
        "lengths",
    ):
        assert len({getattr(case, name) for case in cases}) > 1, name


@pytest.mark.parametrize("algorithm", ["PPO", "IMPALA"])
def test_the_oracle_sees_a_wrong_state(tmp_path, monkeypatch, algorithm):
    """It could agree with everything otherwise."""
    from rllib_recattn.rl_module.sparse_states.kept_states import KeptStates

    case = dataclasses.replace(
        draw(100),
        algorithm=algorithm,
        models=(("gru", 0),),
        max_seq_len=(5,),
        lengths="long",
        crowd=None,
        frames=1,
        mean_std_filter=False,
        sparse_states=True,
        burn_in=0,
        n_fragments=2,
        fragment_length=13,
        complete_episodes=False,
    )
    before = KeptStates.before
    assert not check(case, _new(tmp_path, "right")).problems

    def shifted(self, t_started, step, max_seq_len):
        return before(self, t_started, max(step - max_seq_len, 0), max_seq_len)

    monkeypatch.setattr(KeptStates, "before", shifted)
    problems = check(case, _new(tmp_path, "wrong")).problems
    assert any(problem.startswith("logits:") for problem in problems)
    assert any(problem.startswith("values:") for problem in problems)


def test_the_oracle_sees_steps_that_are_left_out(tmp_path, monkeypatch):
    from rllib_recattn.rl_module.packing import rows

    case = dataclasses.replace(
        draw(100),
        algorithm="PPO",
        models=(("gru", 0),),
        max_seq_len=(7,),
        lengths="short",
        crowd=None,
        frames=1,
        mean_std_filter=False,
        pack_rows=True,
        burn_in=0,
        fragment_length=22,
    )
    pack = rows.PackedRows.pack

    def without_one(self, batch):
        packed = pack(self, batch)
        packed["loss_mask"][0, 0] = False
        return packed

    monkeypatch.setattr(rows.PackedRows, "pack", without_one)
    problems = check(case, tmp_path).problems
    assert any("without a loss" in problem for problem in problems)


def _new(directory, name):
    torch.manual_seed(0)
    (directory / name).mkdir()
    return directory / name
